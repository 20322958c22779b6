#!/usr/bin/env python3
"""What weight versions buy and cost: speed and memory of continuous schedules.

    make build
    tests/bench/weight_versions_bench.py [--rounds 5] [--steps 32] [--ranks 2,8]

Few microbatches a step, where a flush costs most. On two ranks real stage
servers train a GPT; on more, devices are emulated (equal layers) and everything
around them is real. Rounds go through all schedules before one is repeated.

* `speed` is steps per second over one_f_one_b's of the same round. Target:
  pipedream_2bw >= one_f_one_b >= gpipe.
* `predicted` is the simulated time of a step, or of a period, over the measured
  one, from the measured costs of the last traced steps. Target: 0.95 to 1.05.
* `versions` is the number of versions of the weights that are kept, as a mean
  over the ranks by their formula, and as measured: bytes of weights over those
  of one_f_one_b. Targets: 2 for pipedream_2bw, 1.5 for wpipe, (p+1)/2 for
  pipedream, within 2 %. Of real training alone.
"""

import argparse
import json
import os
import pathlib
import tempfile

from local_cluster import (ROOT, LocalCluster, end_on_sigterm, figure,
                           write_tokens)

PROFILE = ROOT / "deploy/local/profiles/equal-layers.json"
REFERENCE = "one_f_one_b"
SCHEDULES = ("gpipe", REFERENCE, "pipedream", "pipedream_2bw", "wpipe")
LAYERS = 6

TRAINED = """\
model:
  preset: gpt-mini
  overrides: {{layers: {layers}, hidden: 256, heads: 8, vocabulary: 256,
              positions: 512, dropout: 0, tied: false}}
data:
  tokens: {tokens}
  sequence_length: 128
batch_size: {batch}
"""

JOB = """\
name: versions-{schedule}-{ranks}
{devices}
steps: {steps}
optimizer:
  kind: adamw
schedule:
  name: {schedule}
  microbatches: {microbatches}
partition:
  ranks: {ranks}
"""


def weight_bytes(job):
    return sum(rank["memory"]["weights"] for rank in job["ranks"]
               if "memory" in rank)


def mean_versions(job):
    """By the plan's rules, each stage weighed by its bytes."""
    rows = job["plan"]["weight_versions"]
    once = sum(row["bytes"] / row["versions"] for row in rows)
    return sum(row["bytes"] for row in rows) / once if once else 0


def measure(cluster, schedule, ranks, steps):
    microbatches = 2 * ranks
    devices = (f"emulate: {PROFILE}\nbatch_size: {microbatches}" if ranks > 2
               else TRAINED.format(layers=LAYERS, batch=4 * microbatches,
                                   tokens=cluster.folder / "tokens.bin"))
    done = cluster.train(JOB.format(
        schedule=schedule, ranks=ranks, devices=devices, steps=steps,
        microbatches=microbatches))
    job = json.loads(cluster.run("describe", done["id"], "-o", "json"))
    predicted, measured = cluster.step_seconds(job)
    return {"seconds": measured,
            "predicted": predicted / measured,
            "formula": mean_versions(job),
            "bytes": weight_bytes(job)}


def bench(folder, ranks, rounds, steps):
    with LocalCluster(folder, ranks) as cluster:
        results = [{schedule: measure(cluster, schedule, ranks, steps)
                    for schedule in SCHEDULES} for _ in range(rounds)]
    print(f"p = {ranks} {'emulated' if ranks > 2 else 'trained'}, "
          f"m = {2 * ranks}, {os.cpu_count()} cores, {rounds} rounds")
    print(f"{'schedule':14} {'speed':22} {'predicted':22} versions")
    for schedule in SCHEDULES:
        rows = [result[schedule] for result in results]
        speed = [result[REFERENCE]["seconds"] / row["seconds"]
                 for result, row in zip(results, rows)]
        last = results[-1][REFERENCE]["bytes"]
        versions = (f"{rows[-1]['formula']:.3f}, measured "
                    f"{rows[-1]['bytes'] / last:.3f}" if last else "")
        print(f"{schedule:14} {figure(speed):22} "
              f"{figure([row['predicted'] for row in rows]):22} {versions}")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=32)
    parser.add_argument("--ranks", default="2,8")
    arguments = parser.parse_args()
    end_on_sigterm()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        write_tokens(folder / "tokens.bin")
        for ranks in arguments.ranks.split(","):
            bench(folder, int(ranks), arguments.rounds, arguments.steps)


if __name__ == "__main__":
    main()
