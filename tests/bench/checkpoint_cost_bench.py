#!/usr/bin/env python3
"""What checkpoints cost a training run.

    tests/bench/checkpoint_cost_bench.py [--rounds 3] [--steps 12]

Trains gpt2-small (124 million parameters, 1.5 GB of state) on two stage servers
of this machine, in each round once without checkpoints before the end and once
with one after every third of the steps. The difference, divided by the number
of checkpoints, is what one costs, all that its upload takes from two busy cores
included; the cost at one every 100 steps follows (wanted: less than 1 % of the
step time). Beside it what the job itself reports of its newest one: how long
training stood still for the copy, and how long the copy took to be committed. With PyTorch installed
(tools/setup --peers) two processes save as many bytes with torch.save and with
torch.distributed.checkpoint in each round.
Ratios of one interleaved run: median (least..most).
"""

import argparse
import json
import pathlib
import statistics
import sys
import tempfile

from local_cluster import LocalCluster, end_on_sigterm, figure, write_tokens
from torch_processes import has_torch, run_torch

SEQUENCE = 64
BATCH = 2


def job_text(tokens, steps, every):
    return f"""name: checkpoint-cost
model: {{preset: gpt2-small}}
data: {{tokens: {tokens}, sequence_length: {SEQUENCE}}}
batch_size: {BATCH}
steps: {steps}
optimizer: {{kind: adamw, learning_rate: 0.0001}}
schedule: {{name: one_f_one_b, microbatches: {BATCH}}}
partition: {{stages: 2}}
checkpoint: {{every_steps: {every}, every_seconds: 0, keep_last: 1}}
"""


def step_seconds(job):
    """Mean over all steps but the first."""
    return BATCH * SEQUENCE / job["tokens_per_second"]


def state_bytes(cluster, job):
    listed = json.loads(cluster.run("ckpt", "list", job["id"], "-o", "json"))
    return next(one["bytes"] for one in listed
                if one["state"] == "COMMITTED")


def torch_saves(folder, num_bytes):
    """By way of saving: seconds, blocked and in all."""
    with tempfile.TemporaryDirectory(dir=folder) as name:
        return json.loads(run_torch("torch_checkpoint.py", 2, name, "--bytes",
                                    num_bytes))


def print_torch(ways, blocked, committed):
    for way in ways[0]:
        still = [one[way]["blocked"] for one in ways]
        total = [one[way]["total"] for one in ways]
        print(f"{way:26} stands still {figure(still)} s, "
              f"{statistics.median(still) / statistics.median(blocked):.2f} "
              f"times ours; in all {figure(total)} s, "
              f"{statistics.median(total) / statistics.median(committed):.2f} "
              "times ours")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=12)
    flags = parser.parse_args()
    end_on_sigterm()
    every = flags.steps // 3
    without, costs, fractions, blocked, committed = [], [], [], [], []
    torch_ways = []
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        tokens = folder / "tokens.bin"
        write_tokens(tokens)
        with LocalCluster(folder, stages=2) as cluster:
            for _ in range(flags.rounds):
                plain = step_seconds(cluster.train(
                    job_text(tokens, flags.steps, 0)))
                job = cluster.train(job_text(tokens, flags.steps, every))
                # The one after the last step is in no step's time.
                cost = (step_seconds(job) - plain) * (flags.steps - 1) / 2
                shown = json.loads(cluster.run("describe", job["id"], "-o",
                                               "json"))["checkpoints"]
                without.append(plain)
                costs.append(cost)
                fractions.append(cost / (100 * plain))
                blocked.append(shown["blocked_seconds"])
                committed.append(shown["commit_seconds"])
                print(f"step {plain:.3f} s, a checkpoint costs {cost:.3f} s, "
                      f"of which training stands still "
                      f"{shown['blocked_seconds']:.3f} s; committed after "
                      f"{shown['commit_seconds']:.2f} s", flush=True)
                if has_torch():
                    torch_ways.append(torch_saves(folder, state_bytes(
                        cluster, job)))
    print(f"step without checkpoints   {figure(without)} s")
    print(f"cost of one                {figure(costs)} s")
    print(f"  training stands still    {figure(blocked)} s")
    print(f"  committed after          {figure(committed)} s")
    print(f"one every 100 steps        {figure(fractions)} of the step time "
          "(wanted: less than 0.01)")
    print(f"one at every step          "
          f"{statistics.median(costs) / statistics.median(without):.2f} of it")
    if torch_ways:
        print_torch(torch_ways, blocked, committed)
    return 0


if __name__ == "__main__":
    sys.exit(main())
