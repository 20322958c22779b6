"""The PyTorch side of pipelining_bench.py: a model under 1F1B with Gloo.

Started by pipelining_bench.py, one process a rank, with the usual RANK,
WORLD_SIZE, MASTER_ADDR and MASTER_PORT, and one argument, the case as JSON.
Rank 0 prints one JSON line.
"""

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
import mlp  # noqa: E402


def main():
    case = json.loads(sys.argv[1])
    rank = int(os.environ["RANK"])
    gpt.set_threads(1)
    dist.init_process_group("gloo")
    torch.manual_seed(1)
    make = gpt.gpt_layers if case["family"] == "gpt" else mlp.mlp_layers
    modules = make(**case["model"])
    cut = len(case["first_stage"])
    mine = modules[:cut] if rank == 0 else modules[cut:]
    module = nn.Sequential(*(m for _, m in mine))
    stage = PipelineStage(module, rank, 2, torch.device("cpu"))
    schedule = Schedule1F1B(stage, case["microbatches"], loss_fn=gpt.loss_of)
    optimizer = torch.optim.AdamW(
        gpt.decay_groups(list(module.parameters()), 0.1), lr=1e-3, fused=True)
    data = torch.randint(case["model"]["vocabulary"],
                         (case["steps"], case["batch"], case["sequence"] + 1))
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
        warmup = case["warmup"]
        tokens = case["batch"] * case["sequence"] * (case["steps"] - warmup)
        print(json.dumps({"tokens_per_second": tokens / sum(times[warmup:])}),
              flush=True)
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
