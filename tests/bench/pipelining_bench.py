#!/usr/bin/env python3
"""Throughput of gpt-mini, p = 2, m = 8, 1F1B: Penstock against
torch.distributed.pipelining with Gloo. Same model, dtype (float32), cut,
microbatches and cores, one intra-op thread a rank, optimizer step included.

    make build && tools/setup --peers
    tests/bench/pipelining_bench.py [--rounds 7] [--steps 12]

Rounds are interleaved (Penstock, PyTorch, Penstock, ...). Prints the ratio of
tokens per second as median and min..max over the rounds; above 1 Penstock is
faster. Both sides leave out their first steps.
"""

import argparse
import json
import os
import pathlib
import socket
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
CACHE = pathlib.Path(os.environ.get(
    "XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "penstock"

MODEL = {"layers": 6, "hidden": 256, "heads": 8, "vocabulary": 256,
         "positions": 512}
SEQUENCE = 128
BATCH = 32
MICROBATCHES = 8
WARMUP = 2
# embed, h0..h2 (attention and MLP each): the rest is on stage 1.
FIRST_STAGE = ["embed"] + [f"h{i}.{part}" for i in range(3)
                           for part in ("attn", "mlp")]
SECOND_STAGE = [f"h{i}.{part}" for i in range(3, 6)
                for part in ("attn", "mlp")] + ["final_norm", "head", "loss"]

JOB = """\
name: pipelining-bench
model:
  preset: gpt-mini
  overrides: {{dropout: 0}}
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
  layers: [{first}, {second}]
"""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def penstock(folder, steps, name):
    job = folder / "job.yaml"
    tokens = folder / "tokens.bin"
    if not tokens.exists():
        # Uniform random bytes: speed does not depend on what is read.
        tokens.write_bytes(b"".join(byte.to_bytes(2, "little")
                                    for byte in os.urandom(200_000)))
    job.write_text(JOB.format(
        tokens=tokens, sequence=SEQUENCE, batch=BATCH, steps=steps,
        microbatches=MICROBATCHES, first=FIRST_STAGE,
        second=SECOND_STAGE))
    result = subprocess.run(
        [ROOT / "bazel-bin/client/penstock", "local", "run", job, "--stages",
         "2", "--run-dir", folder / name, "-o", "json"],
        check=True, stdout=subprocess.PIPE, text=True, cwd=folder)
    return json.loads(result.stdout)["tokens_per_second"]


def torch(steps):
    command = [CACHE / "peers/bin/python",
               ROOT / "tests/bench/torch_pipeline.py",
               "--sequence", SEQUENCE, "--batch", BATCH, "--microbatches",
               MICROBATCHES, "--steps", steps, "--warmup", WARMUP,
               "--first-stage-layers", len(FIRST_STAGE)]
    for key, value in MODEL.items():
        command += ["--" + key, value]
    environment = dict(os.environ, MASTER_ADDR="127.0.0.1",
                       MASTER_PORT=str(free_port()), WORLD_SIZE="2",
                       OMP_NUM_THREADS="1", GLOO_SOCKET_IFNAME="lo")
    ranks = [subprocess.Popen([str(c) for c in command],
                              env=dict(environment, RANK=str(rank)),
                              stdout=subprocess.PIPE, text=True)
             for rank in range(2)]
    outputs = [rank.communicate()[0] for rank in ranks]
    if any(rank.returncode for rank in ranks):
        sys.exit("the PyTorch side failed; see above")
    return json.loads(outputs[0].splitlines()[-1])["tokens_per_second"]


def spread(values):
    return (f"{statistics.median(values):.3f} "
            f"({min(values):.3f}..{max(values):.3f})")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=12)
    options = parser.parse_args()
    ratios = []
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        for i in range(options.rounds):
            ours = penstock(folder, options.steps, f"round-{i}")
            theirs = torch(options.steps)
            ratios.append(ours / theirs)
            print(f"round {i + 1}: Penstock {ours:.0f} tokens/s, "
                  f"PyTorch {theirs:.0f}, ratio {ratios[-1]:.3f}", flush=True)
    print(f"throughput, Penstock / torch.distributed.pipelining (Gloo), "
          f"gpt-mini p=2 m=8 1F1B float32, {os.cpu_count()} cores, "
          f"1 thread a rank, {options.rounds} rounds: {spread(ratios)}")


if __name__ == "__main__":
    main()
