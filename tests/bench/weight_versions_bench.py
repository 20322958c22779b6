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
import signal
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
PENSTOCK = ROOT / "bazel-bin/client/penstock"
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


def penstock(folder, *arguments):
    environment = dict(os.environ, XDG_STATE_HOME=str(folder))
    address = folder / "address"
    if address.exists():
        environment["PENSTOCK_COORDINATOR"] = address.read_text()
    return subprocess.run([PENSTOCK, *arguments], cwd=folder, env=environment,
                          check=True, capture_output=True, text=True).stdout


def weight_bytes(job):
    return sum(rank["memory"]["weights"] for rank in job["ranks"]
               if "memory" in rank)


def mean_versions(job):
    """By the plan's rules, each stage weighed by its bytes."""
    rows = job["plan"]["weight_versions"]
    once = sum(row["bytes"] / row["versions"] for row in rows)
    return sum(row["bytes"] for row in rows) / once if once else 0


def measure(folder, schedule, ranks, steps):
    microbatches = 2 * ranks
    devices = (f"emulate: {PROFILE}\nbatch_size: {microbatches}" if ranks > 2
               else TRAINED.format(layers=LAYERS, batch=4 * microbatches,
                                   tokens=folder / "tokens.bin"))
    job_file = folder / "job.yaml"
    job_file.write_text(JOB.format(
        schedule=schedule, ranks=ranks, devices=devices, steps=steps,
        microbatches=microbatches))
    done = json.loads(penstock(folder, "submit", str(job_file), "--follow",
                               "-o", "json"))
    job = json.loads(penstock(folder, "describe", done["id"], "-o", "json"))
    shown = json.loads(penstock(folder, "timeline", job["id"], "-o", "json"))
    measured = statistics.median(
        json.loads(penstock(folder, "timeline", job["id"], "--step", str(step),
                            "-o", "json"))["measured"]["seconds"]
        for step in shown["cost_steps"])
    return {"seconds": measured,
            "predicted": shown["predicted"]["seconds"] / measured,
            "formula": mean_versions(job),
            "bytes": weight_bytes(job)}


def figure(values):
    return (f"{statistics.median(values):.3f} "
            f"({min(values):.3f}..{max(values):.3f})")


def bench(folder, ranks, rounds, steps):
    up = json.loads(penstock(folder, "local", "up", "--stages", str(ranks),
                             "--listen", "127.0.0.1:0", "-o", "json"))
    (folder / "address").write_text(up["coordinator"])
    results = []
    try:
        for _ in range(rounds):
            results.append({schedule: measure(folder, schedule, ranks, steps)
                            for schedule in SCHEDULES})
    finally:
        penstock(folder, "local", "down")
        (folder / "address").unlink()
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
    # So that the cluster ends with a run that is cut short.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        # Uniform random bytes: speed does not depend on what is read.
        (folder / "tokens.bin").write_bytes(
            b"".join(byte.to_bytes(2, "little") for byte in os.urandom(200_000)))
        for ranks in arguments.ranks.split(","):
            bench(folder, int(ranks), arguments.rounds, arguments.steps)


if __name__ == "__main__":
    main()
