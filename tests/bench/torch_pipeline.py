"""The PyTorch side of pipelining_bench.py: gpt under 1F1B with Gloo.

Started by pipelining_bench.py, one process a rank, with the usual RANK,
WORLD_SIZE, MASTER_ADDR and MASTER_PORT. Rank 0 prints one JSON line.
"""

import argparse
import json
import os
import pathlib
import sys
import time

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.pipelining import PipelineStage, Schedule1F1B

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "peers"))
import gpt  # noqa: E402


def arguments():
    parser = argparse.ArgumentParser()
    for name in ("layers", "hidden", "heads", "vocabulary", "positions",
                 "sequence", "batch", "microbatches", "steps", "warmup",
                 "first-stage-layers"):
        parser.add_argument("--" + name, type=int, required=True)
    return parser.parse_args()


def main():
    a = arguments()
    rank = int(os.environ["RANK"])
    gpt.set_threads(1)
    dist.init_process_group("gloo")
    torch.manual_seed(1)
    modules = gpt.gpt_layers(a.layers, a.hidden, a.heads, a.vocabulary,
                             a.positions)
    cut = a.first_stage_layers
    mine = modules[:cut] if rank == 0 else modules[cut:]
    module = nn.Sequential(*(m for _, m in mine))
    stage = PipelineStage(module, rank, 2, torch.device("cpu"))
    schedule = Schedule1F1B(stage, a.microbatches, loss_fn=gpt.loss_of)
    optimizer = torch.optim.AdamW(
        gpt.decay_groups(list(module.parameters()), 0.1), lr=1e-3, fused=True)
    data = torch.randint(a.vocabulary, (a.steps, a.batch, a.sequence + 1))
    times = []
    for batch in data:
        begin = time.perf_counter()
        optimizer.zero_grad()
        if rank == 0:
            schedule.step(batch[:, :-1].contiguous())
        else:
            schedule.step(target=batch[:, 1:].contiguous(), losses=[])
        optimizer.step()
        times.append(time.perf_counter() - begin)
    if rank == 0:
        tokens = a.batch * a.sequence * (a.steps - a.warmup)
        print(json.dumps({"tokens_per_second": tokens / sum(times[a.warmup:])}),
              flush=True)
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
