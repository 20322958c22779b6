#!/usr/bin/env python3
"""Predicted against measured step time, for three schedules and two cuts.

    make build
    tests/bench/prediction_bench.py [--rounds 3] [--steps 24]

Real stage servers on this machine train a GPT (no tied weight, no dropout) on
two ranks with 8 microbatches. After each run

* `timeline` is the simulator's prediction of the plan's own lists, from the
  measured actions, messages and agreement of the last 8 traced steps;
* `profile` is what `penstock simulate --lowered --profile` makes of the same
  run's `penstock timeline -o profile`.

Both are divided by the median time of those steps on their slowest rank. Rounds
go through all six before one is repeated; figures are medians with min..max.
Target: within 5 %.
"""

import argparse
import json
import os
import pathlib
import signal
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
PENSTOCK = ROOT / "bazel-bin/client/penstock"
MICROBATCHES = 8
SCHEDULES = ("gpipe", "one_f_one_b", "zb_h1")
LAYERS = 6
CUTS = {"even": 3, "uneven": 2}

JOB = """\
name: prediction-{schedule}-{cut}
model:
  preset: gpt-mini
  overrides: {{layers: {layers}, hidden: 256, heads: 8, vocabulary: 256,
              positions: 512, dropout: 0}}
data:
  tokens: {tokens}
  sequence_length: 128
batch_size: 32
steps: {steps}
optimizer:
  kind: adamw
schedule:
  name: {schedule}
  microbatches: {microbatches}
partition:
  stages: 2
  layers: [{first}, {second}]
"""


def parts(blocks):
    return [f"h{i}.{part}" for i in blocks for part in ("attn", "mlp")]


def penstock(folder, *arguments):
    environment = dict(os.environ, XDG_STATE_HOME=str(folder))
    address = folder / "address"
    if address.exists():
        environment["PENSTOCK_COORDINATOR"] = address.read_text()
    return subprocess.run([PENSTOCK, *arguments], cwd=folder, env=environment,
                          check=True, capture_output=True, text=True).stdout


def measure(folder, schedule, cut, steps):
    """Predictions over the measured step time: (timeline, profile)."""
    blocks = CUTS[cut]
    job_file = folder / "job.yaml"
    job_file.write_text(JOB.format(
        schedule=schedule, cut=cut, layers=LAYERS, steps=steps,
        tokens=folder / "tokens.bin", microbatches=MICROBATCHES,
        first=["embed"] + parts(range(blocks)),
        second=parts(range(blocks, LAYERS)) + ["final_norm", "head", "loss"]))
    job = json.loads(penstock(folder, "submit", str(job_file), "--follow",
                              "-o", "json"))
    shown = json.loads(penstock(folder, "timeline", job["id"], "-o", "json"))
    measured = statistics.median(
        json.loads(penstock(folder, "timeline", job["id"], "--step", str(step),
                            "-o", "json"))["measured"]["seconds"]
        for step in shown["cost_steps"])
    profile = folder / "profile.json"
    profile.write_text(penstock(folder, "timeline", job["id"], "-o",
                                "profile"))
    simulated = json.loads(penstock(
        folder, "simulate", "-s", schedule, "-p", "2", "-m", str(MICROBATCHES),
        "--lowered", "--profile", str(profile), "-o", "json"))
    return (shown["predicted"]["seconds"] / measured,
            simulated[0]["makespan"] / measured)


def figure(values):
    return (f"{statistics.median(values):.3f} "
            f"({min(values):.3f}..{max(values):.3f})")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=24)
    arguments = parser.parse_args()
    # So that the cluster ends with a run that is cut short.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    results = {}
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        # Uniform random bytes: speed does not depend on what is read.
        (folder / "tokens.bin").write_bytes(
            b"".join(byte.to_bytes(2, "little") for byte in os.urandom(200_000)))
        up = json.loads(penstock(folder, "local", "up", "--stages", "2",
                                 "--listen", "127.0.0.1:0", "-o", "json"))
        (folder / "address").write_text(up["coordinator"])
        try:
            for _ in range(arguments.rounds):
                for schedule in SCHEDULES:
                    for cut in CUTS:
                        results.setdefault((schedule, cut), []).append(
                            measure(folder, schedule, cut, arguments.steps))
        finally:
            penstock(folder, "local", "down")
    print(f"predicted / measured step time, p = 2, m = {MICROBATCHES}, "
          f"{os.cpu_count()} cores, {arguments.rounds} rounds; target 0.95 to "
          "1.05")
    print(f"{'schedule':12} {'cut':7} {'timeline':22} profile")
    for (schedule, cut), ratios in results.items():
        timeline, profile = zip(*ratios)
        print(f"{schedule:12} {cut:7} {figure(timeline):22} {figure(profile)}")


if __name__ == "__main__":
    main()
