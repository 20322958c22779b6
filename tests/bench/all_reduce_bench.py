#!/usr/bin/env python3
"""Penstock's reduction of a 64 MiB gradient between 2, 3 and 4 processes, beside
torch.distributed's all_reduce with Gloo, and as a part of what the links give
(all_reduce_bench.cc). Float32, one intra-op thread a process, one machine.

    bazel build //tests/bench:all_reduce_bench && tools/setup --peers
    tests/bench/all_reduce_bench.py [--rounds 9] [--mib 64]

Rounds are interleaved (Penstock, Gloo, Penstock, ...); a round's time is the
median of nine reductions, each that of the slowest process. Prints ratios as
median (min..max) over the rounds; above 1 Penstock is faster. Without PyTorch
only the part of the links' limit is measured.
"""

import argparse
import os
import re
import statistics
import subprocess

from torch_processes import ROOT, has_torch, run_torch

OURS = ROOT / "bazel-bin/tests/bench/all_reduce_bench"
REPEATS = 9


def ours(ranks, mib, way):
    """Seconds of a reduction, and its part of the limit."""
    answer = subprocess.run([OURS, str(ranks), str(mib), str(REPEATS), way],
                            check=True, capture_output=True, text=True).stdout
    pairs = [(float(a), float(b)) for a, b in
             re.findall(r"^reduce (\S+) stream (\S+)$", answer, re.MULTILINE)]
    return (statistics.median(a for a, _ in pairs),
            statistics.median(b / a for a, b in pairs))


def gloo(ranks, mib):
    """Seconds of an all_reduce."""
    return float(run_torch("torch_all_reduce.py", ranks, "--mib", mib,
                           "--repeats", REPEATS))


def spread(values):
    return (f"{statistics.median(values):.2f} "
            f"({min(values):.2f}..{max(values):.2f})")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--mib", type=int, default=64)
    options = parser.parse_args()
    print(f"{os.cpu_count()} cores, {options.mib} MiB, {options.rounds} "
          f"interleaved rounds", flush=True)
    for way in ("shared_memory", "tcp"):
        for ranks in (2, 3, 4):
            parts, ratios, seconds = [], [], []
            for _ in range(options.rounds):
                time, part = ours(ranks, options.mib, way)
                parts.append(part)
                seconds.append(time)
                if has_torch():
                    ratios.append(gloo(ranks, options.mib) / time)
            print(f"{way:13} {ranks} processes: "
                  f"{statistics.median(seconds) * 1e3:.1f} ms, of the links' "
                  f"limit {spread(parts)} (target 0.80)"
                  + (f", Gloo / Penstock {spread(ratios)}" if ratios else ""),
                  flush=True)


if __name__ == "__main__":
    main()
