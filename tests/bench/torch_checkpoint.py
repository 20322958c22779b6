"""The PyTorch side of checkpoint_cost_bench.py: the same bytes of state kept by
torch.save and by torch.distributed.checkpoint.

Started by checkpoint_cost_bench.py, one process a rank, with the usual RANK,
WORLD_SIZE, MASTER_ADDR and MASTER_PORT. Each rank has its own share of the
state and saves it into FOLDER, to the disk (fsync, as ours). Rank 0 prints JSON:
seconds for which training would stand still, and in all, each those of the
slowest process.
"""

import argparse
import json
import os
import pathlib
import time

import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp

# As large as a layer's matrices.
TENSOR_BYTES = 16 << 20


def slowest(seconds):
    value = torch.tensor([seconds], dtype=torch.float64)
    dist.all_reduce(value, op=dist.ReduceOp.MAX)
    return value.item()


def timed(action):
    dist.barrier()
    start = time.perf_counter()
    action()
    return slowest(time.perf_counter() - start)


def save_plain(state, path):
    torch.save(state, path)
    with open(path, "rb") as f:
        os.fsync(f.fileno())


def save_in_background(state, folder):
    """Seconds until it returns, and until it is on the disk."""
    dist.barrier()
    start = time.perf_counter()
    response = dcp.async_save(state, checkpoint_id=str(folder))
    blocked = time.perf_counter() - start
    response.result()
    return slowest(blocked), slowest(time.perf_counter() - start)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--bytes", type=int, required=True)
    options = parser.parse_args()
    torch.set_num_threads(1)
    dist.init_process_group("gloo")
    rank = dist.get_rank()
    count = options.bytes // dist.get_world_size() // TENSOR_BYTES
    state = {f"rank{rank}.tensor{i}": torch.rand(TENSOR_BYTES // 4)
             for i in range(count)}
    plain = timed(lambda: save_plain(state,
                                     options.folder / f"plain-{rank}.pt"))
    distributed = timed(lambda: dcp.save(
        state, checkpoint_id=str(options.folder / "dcp")))
    blocked, whole = save_in_background(state, options.folder / "async")
    if rank == 0:
        print(json.dumps({
            "torch.save": {"blocked": plain, "total": plain},
            "dcp.save": {"blocked": distributed, "total": distributed},
            "dcp.async_save": {"blocked": blocked, "total": whole}}))
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
