#!/usr/bin/env python3
"""Throughput, p = 2, m = 8, 1F1B: Penstock against torch.distributed.pipelining
with Gloo, for a GPT and an MLP with large actions and with tiny ones. Same
model, dtype (float32), cut, microbatches and cores, one intra-op thread a rank,
optimizer step included.

    make build && tools/setup --peers
    tests/bench/pipelining_bench.py [--rounds 7] [--cases gpt-large,mlp-tiny]

Rounds and cases are interleaved (Penstock, PyTorch, Penstock, ...). Prints the
ratio of tokens per second as median and min..max over the rounds; above 1
Penstock is faster. Both sides leave out their first steps. Targets: 1.2 with
large actions (milliseconds), 3 with tiny ones (tens of microseconds).
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import tempfile

from torch_processes import ROOT, run_torch

VOCABULARY = 256


def gpt(layers, hidden, heads, sequence, batch, steps):
    blocks = [f"h{i}.{part}" for i in range(layers) for part in ("attn", "mlp")]
    return {
        "family": "gpt", "preset": "gpt-mini", "overrides": {"dropout": 0},
        "model": {"layers": layers, "hidden": hidden, "heads": heads,
                  "vocabulary": VOCABULARY, "positions": 512},
        "first_stage": ["embed"] + blocks[:layers],
        "second_stage": blocks[layers:] + ["final_norm", "head", "loss"],
        "sequence": sequence, "batch": batch, "microbatches": 8,
        "steps": steps, "warmup": 2}


def mlp(layers, hidden, embedding, sequence, batch, steps):
    blocks = [f"{part}{i}" for i in range(layers) for part in ("fc", "relu")]
    return {
        "family": "mlp", "preset": "mlp", "overrides": {},
        "model": {"layers": layers, "hidden": hidden,
                  "vocabulary": VOCABULARY, "embedding": embedding,
                  "window": 8},
        "first_stage": ["embed"] + blocks[:layers],
        "second_stage": blocks[layers:] + ["head", "loss"],
        "sequence": sequence, "batch": batch, "microbatches": 8,
        "steps": steps, "warmup": 2}


CASES = {
    "gpt-large": gpt(6, 256, 8, sequence=128, batch=32, steps=12),
    "gpt-tiny": gpt(2, 16, 2, sequence=8, batch=8, steps=400),
    "mlp-large": mlp(4, 1024, 128, sequence=64, batch=32, steps=12),
    "mlp-tiny": mlp(4, 16, 2, sequence=8, batch=8, steps=400),
}

JOB = """\
name: pipelining-bench
model:
  preset: {preset}
  overrides: {overrides}
data:
  tokens: {tokens}
  sequence_length: {sequence}
batch_size: {batch}
steps: {steps}
optimizer:
  kind: adamw
  weight_decay: 0.1
schedule:
  name: one_f_one_b
  microbatches: {microbatches}
partition:
  stages: 2
  layers: {layers}
"""


def penstock(case, folder, run):
    job = folder / "job.yaml"
    tokens = folder / "tokens.bin"
    if not tokens.exists():
        # Uniform random bytes: speed does not depend on what is read.
        tokens.write_bytes(b"".join(byte.to_bytes(2, "little")
                                    for byte in os.urandom(200_000)))
    job.write_text(JOB.format(
        preset=case["preset"], tokens=tokens, sequence=case["sequence"],
        overrides=json.dumps({**case["model"], **case["overrides"]}),
        batch=case["batch"], steps=case["steps"],
        microbatches=case["microbatches"],
        layers=json.dumps([case["first_stage"], case["second_stage"]])))
    result = subprocess.run(
        [ROOT / "bazel-bin/client/penstock", "local", "run", job,
         "--run-dir", folder / run, "-o", "json"],
        check=True, stdout=subprocess.PIPE, text=True, cwd=folder)
    return json.loads(result.stdout)["tokens_per_second"]


def torch(case):
    return json.loads(run_torch("torch_pipeline.py", 2, json.dumps(case)))[
        "tokens_per_second"]


def spread(values):
    return (f"{statistics.median(values):.3f} "
            f"({min(values):.3f}..{max(values):.3f})")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--cases", default=",".join(CASES))
    options = parser.parse_args()
    names = options.cases.split(",")
    for name in names:
        if name not in CASES:
            parser.error(f"no case {name}; there are {', '.join(CASES)}")
    ratios = {name: [] for name in names}
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        for i in range(options.rounds):
            for name in names:
                ours = penstock(CASES[name], folder, f"{name}-{i}")
                theirs = torch(CASES[name])
                ratios[name].append(ours / theirs)
                print(f"round {i + 1}, {name}: Penstock {ours:.0f} tokens/s, "
                      f"PyTorch {theirs:.0f}, ratio {ratios[name][-1]:.3f}",
                      flush=True)
    print(f"throughput, Penstock / torch.distributed.pipelining (Gloo), p=2 m=8 "
          f"1F1B float32, {os.cpu_count()} cores, 1 thread a rank, "
          f"{options.rounds} rounds:")
    for name in names:
        print(f"  {name}: {spread(ratios[name])}")


if __name__ == "__main__":
    main()
