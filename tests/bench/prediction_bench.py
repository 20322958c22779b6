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
import tempfile

from local_cluster import LocalCluster, end_on_sigterm, figure, write_tokens

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


def measure(cluster, schedule, cut, steps):
    """Predictions over the measured step time: (timeline, profile)."""
    blocks = CUTS[cut]
    job = cluster.train(JOB.format(
        schedule=schedule, cut=cut, layers=LAYERS, steps=steps,
        tokens=cluster.folder / "tokens.bin", microbatches=MICROBATCHES,
        first=["embed"] + parts(range(blocks)),
        second=parts(range(blocks, LAYERS)) + ["final_norm", "head", "loss"]))
    predicted, measured = cluster.step_seconds(job)
    profile = cluster.folder / "profile.json"
    profile.write_text(cluster.run("timeline", job["id"], "-o", "profile"))
    simulated = json.loads(cluster.run(
        "simulate", "-s", schedule, "-p", "2", "-m", str(MICROBATCHES),
        "--lowered", "--profile", str(profile), "-o", "json"))
    return predicted / measured, simulated[0]["makespan"] / measured


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=24)
    arguments = parser.parse_args()
    end_on_sigterm()
    results = {}
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        write_tokens(folder / "tokens.bin")
        with LocalCluster(folder, stages=2) as cluster:
            for _ in range(arguments.rounds):
                for schedule in SCHEDULES:
                    for cut in CUTS:
                        results.setdefault((schedule, cut), []).append(
                            measure(cluster, schedule, cut, arguments.steps))
    print(f"predicted / measured step time, p = 2, m = {MICROBATCHES}, "
          f"{os.cpu_count()} cores, {arguments.rounds} rounds; target 0.95 to "
          "1.05")
    print(f"{'schedule':12} {'cut':7} {'timeline':22} profile")
    for (schedule, cut), ratios in results.items():
        timeline, profile = zip(*ratios)
        print(f"{schedule:12} {cut:7} {figure(timeline):22} {figure(profile)}")


if __name__ == "__main__":
    main()
