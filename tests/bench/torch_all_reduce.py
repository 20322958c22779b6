"""The PyTorch side of all_reduce_bench.py: all_reduce with Gloo.

Started by all_reduce_bench.py, one process a rank, with the usual RANK,
WORLD_SIZE, MASTER_ADDR and MASTER_PORT. Rank 0 prints the median seconds, each
those of the slowest process.
"""

import argparse
import statistics
import time

import torch
import torch.distributed as dist


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--mib", type=int, required=True)
    parser.add_argument("--repeats", type=int, required=True)
    options = parser.parse_args()
    torch.set_num_threads(1)
    dist.init_process_group("gloo")
    gradient = torch.empty(options.mib << 18, dtype=torch.float32)
    seconds = []
    for repeat in range(options.repeats + 2):
        gradient.fill_(dist.get_rank() + 1)
        dist.barrier()
        start = time.perf_counter()
        dist.all_reduce(gradient)
        slowest = torch.tensor([time.perf_counter() - start])
        dist.all_reduce(slowest, op=dist.ReduceOp.MAX)
        if repeat >= 2:
            seconds.append(slowest.item())
    ranks = dist.get_world_size()
    assert gradient[-1].item() == ranks * (ranks + 1) / 2
    if dist.get_rank() == 0:
        print(statistics.median(seconds))
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
