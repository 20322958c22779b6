#!/usr/bin/env python3
"""The gradients of a pipelined step agree with torch.distributed.pipelining:
the same GPT, weights, batch and cut, two ranks with Gloo, every schedule that
both have, within 1e-5 of the largest gradient of a parameter.

Not part of `make test`: needs PyTorch, which `tools/setup --peers` installs.

    tests/peers/run

The reference is the plain loop of tests/parity, whose bits every schedule of
Penstock has (//tests/parity/...).
"""

import json
import os
import pathlib
import socket
import subprocess
import sys

import numpy as np
import torch
import torch.distributed as dist
from torch import nn
from torch.distributed import pipelining

import gpt

RANKS = 2
MICROBATCHES = 8
TOLERANCE = 1e-5
# Penstock's name, PyTorch's class, stages a rank, V placement.
SCHEDULES = [
    ("gpipe", "ScheduleGPipe", 1, False),
    ("one_f_one_b", "Schedule1F1B", 1, False),
    ("interleaved", "ScheduleInterleaved1F1B", 2, False),
    ("loop_bfs", "ScheduleLoopedBFS", 2, False),
    ("interleaved_zb", "ScheduleInterleavedZeroBubble", 2, False),
    ("zbv", "ScheduleZBVZeroBubble", 2, True),
    ("dual_pipe_v", "ScheduleDualPipeV", 2, True),
]


def stages_of(rank, per_rank, v_shape):
    if per_rank == 1:
        return [rank]
    if v_shape:
        return [rank, 2 * RANKS - 1 - rank]
    return [rank, RANKS + rank]


def load(values, reference, name, shape):
    for entry in reference["parameters"]:
        if entry["name"] != name:
            continue
        count = int(np.prod(shape))
        begin = entry["offset"]
        return torch.from_numpy(values[begin:begin + count].copy()).view(shape)
    raise KeyError(name)


def build(modules, num_stages, index):
    """The index-th of equal parts of the list."""
    bounds = [round(i * len(modules) / num_stages)
              for i in range(num_stages + 1)]
    return modules[bounds[index]:bounds[index + 1]]


def run_rank(folder, class_name, per_rank, v_shape):
    """Prints the largest difference on this rank."""
    reference = json.loads((folder / "reference.json").read_text())
    gpt.set_threads(1)
    dist.init_process_group("gloo")
    rank = dist.get_rank()
    weights = np.fromfile(folder / reference["weights"], dtype=np.float32)
    expected = np.fromfile(folder / reference["gradients"], dtype=np.float32)
    modules = gpt.gpt_layers(**reference["model"])
    for name, value in gpt.named_parameters(modules).items():
        with torch.no_grad():
            value.copy_(load(weights, reference, name, value.shape))
    batches = np.fromfile(folder / reference["batches"], dtype=np.int64)
    batch = torch.from_numpy(batches).view(
        reference["steps"], reference["batch_size"], -1)[0]
    num_stages = RANKS * per_rank
    indices = stages_of(rank, per_rank, v_shape)
    mine = [build(modules, num_stages, index) for index in indices]
    stages = [
        pipelining.PipelineStage(nn.Sequential(*(m for _, m in part)), index,
                                 num_stages, torch.device("cpu"))
        for index, part in zip(indices, mine)
    ]
    if v_shape:
        # PyTorch first sends a number to every neighbour; Gloo has no
        # connection for a neighbour on the same rank, and needs no warm-up.
        for stage in stages:
            stage._get_init_p2p_neighbors_ops = list
    make = getattr(pipelining, class_name)
    schedule = make(stages[0] if per_rank == 1 else stages, MICROBATCHES,
                    loss_fn=gpt.loss_of)
    arguments = [batch[:, :-1].contiguous()] if 0 in indices else []
    if num_stages - 1 in indices:
        schedule.step(*arguments, target=batch[:, 1:].contiguous(), losses=[])
    else:
        schedule.step(*arguments)
    worst = 0.0
    for part in mine:
        for name, value in gpt.named_parameters(part).items():
            want = load(expected, reference, name, value.shape)
            difference = (value.grad - want).abs().max() / want.abs().max()
            worst = max(worst, difference.item())
    print(json.dumps({"worst": worst}), flush=True)
    dist.barrier()
    dist.destroy_process_group()


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def worst_of(folder, schedule):
    _, class_name, per_rank, v_shape = schedule
    environment = dict(os.environ, MASTER_ADDR="127.0.0.1",
                       MASTER_PORT=str(free_port()), WORLD_SIZE=str(RANKS),
                       OMP_NUM_THREADS="1", GLOO_SOCKET_IFNAME="lo")
    ranks = [
        subprocess.Popen(
            [sys.executable, __file__, str(folder), "--rank", class_name,
             str(per_rank), str(int(v_shape))],
            env=dict(environment, RANK=str(rank)), stdout=subprocess.PIPE,
            text=True)
        for rank in range(RANKS)
    ]
    outputs = [rank.communicate()[0] for rank in ranks]
    if any(rank.returncode for rank in ranks):
        sys.exit(f"{class_name} failed; see above")
    return max(json.loads(output.splitlines()[-1])["worst"]
               for output in outputs)


def main():
    folder = pathlib.Path(sys.argv[1])
    if len(sys.argv) > 2:
        run_rank(folder, sys.argv[3], int(sys.argv[4]), sys.argv[5] == "1")
        return 0
    worst = 0.0
    for schedule in SCHEDULES:
        one = worst_of(folder, schedule)
        worst = max(worst, one)
        print(f"{schedule[0]} and {schedule[1]}: gradients differ by at most "
              f"{one:.1e}", flush=True)
    print("agrees" if worst <= TOLERANCE else "DISAGREES",
          f"(tolerance {TOLERANCE:.0e})")
    return 0 if worst <= TOLERANCE else 1


if __name__ == "__main__":
    sys.exit(main())
