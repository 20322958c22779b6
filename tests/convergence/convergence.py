#!/usr/bin/env python3
"""What weight versions cost in loss: every policy against data parallelism with
the same samples (one rank, no pipeline: what replicas with summed gradients
compute), for a GPT on real text and a small CNN on the zoo's images.

    make convergence

Held-out loss after the last step, as a ratio to data parallelism's with the
same samples for each update. Target: within 2 % for flush, double_buffer and
grouped; stash with and without vertical sync is reported. Two more runs have a
learning rate so high that staleness shows. Real processes on this machine, four
ranks; about a quarter of an hour on two cores. Writes a table and a picture to
--output.
"""

import argparse
import json
import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
PENSTOCK = ROOT / "bazel-bin/client/penstock"
MICROBATCHES = 4
# Of the text, kept out of the training.
HELD_OUT = 0.05

# By policy: schedule, stages, and whether each microbatch is an update.
POLICIES = {
    "flush": ("one_f_one_b", 4, False),
    "double_buffer": ("pipedream_2bw", 4, False),
    "grouped": ("wpipe", 8, False),
    "vertical": ("pipedream_vertical", 4, True),
    "stash": ("pipedream", 4, True),
}

MODELS = {
    "gpt-nano": {"preset": "gpt-nano", "batch": 16, "steps": 400,
                 "rate": 2e-3, "sequence": 64},
    "cnn": {"preset": "cnn", "batch": 32, "steps": 200, "rate": 2e-3,
            "sequence": None},
}
HIGH_RATE = 10

LINE = re.compile(r"\b(\d+)/\d+.*held-out loss ([0-9.a-z+-]+)")


def job_of(model, policy, rate, folder):
    """The job file's content. `policy` None: data parallelism; "small": with a
    microbatch for each update."""
    batch, steps = model["batch"], model["steps"]
    schedule, stages, per_microbatch = POLICIES.get(
        policy, ("naive", 1, policy == "small"))
    # A step of stash or vertical makes an update of each microbatch.
    if policy == "small":
        batch, steps = batch // MICROBATCHES, steps * MICROBATCHES
    # Both see the same rate at the same sample: the decay counts updates.
    updates = model["steps"] * (MICROBATCHES if per_microbatch else 1)
    job = {
        "name": f"convergence-{model['preset']}-{policy or 'data-parallel'}",
        "model": {"preset": model["preset"]},
        "batch_size": batch,
        "steps": steps,
        "optimizer": {"kind": "adamw",
                      "learning_rate": rate / (2 if per_microbatch else 1)},
        "learning_rate_schedule": {"kind": "cosine",
                                   "warmup_steps": updates // 20,
                                   "decay_steps": updates,
                                   "final_fraction": 0.1},
        "schedule": {"name": schedule,
                     "microbatches": 1 if policy in (None, "small")
                     else MICROBATCHES},
        "partition": {"stages": stages},
        "evaluation": {"every_steps": steps // 10, "microbatches": 16},
        "seed": 1,
    }
    if policy in (None, "small"):
        # The same samples in one piece.
        job["evaluation"]["microbatches"] = 16 // MICROBATCHES
        if policy == "small":
            job["evaluation"]["microbatches"] = 16
    if model["sequence"]:
        job["data"] = {"tokens": str(folder / "train.bin"),
                       "sequence_length": model["sequence"]}
        job["evaluation"]["tokens"] = str(folder / "held_out.bin")
    return job


def train(model, policy, rate, folder):
    """Held-out losses by part of the run that is done."""
    job = folder / "job.yaml"
    content = job_of(model, policy, rate, folder)
    job.write_text(json.dumps(content))
    ranks = 4 if policy in POLICIES else 1
    result = subprocess.run(
        [PENSTOCK, "local", "run", job, "--stages", str(ranks), "--run-dir",
         folder / f"run-{len(list(folder.iterdir()))}"],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    curve = [(int(step) / content["steps"], float(loss))
             for step, loss in LINE.findall(result.stdout)]
    if result.returncode or not curve:
        # A loss that is not finite fails the job: that is a result too.
        print(result.stdout[-2000:], file=sys.stderr)
        return curve or [(1.0, float("nan"))]
    return curve


def split_text(folder):
    path = subprocess.run([ROOT / "tools/prepare_text"], check=True,
                          stdout=subprocess.PIPE, text=True).stdout.strip()
    tokens = pathlib.Path(path).read_bytes()
    cut = int(len(tokens) // 2 * (1 - HELD_OUT)) * 2
    (folder / "train.bin").write_bytes(tokens[:cut])
    (folder / "held_out.bin").write_bytes(tokens[cut:])


def draw(curves, path):
    """One plot a model, held-out loss over the part of the run."""
    script = [f'set terminal svg size 900,{360 * len(curves)} '
              'font "sans-serif,12" background "white"',
              f'set output "{path}"',
              f"set multiplot layout {len(curves)},1",
              'set xlabel "part of the samples"',
              'set ylabel "held-out loss"', "set grid", "set key outside"]
    for name, runs in curves.items():
        script.append(f'set title "{name}"')
        script.append("plot " + ", ".join(
            f"'-' with linespoints title \"{run.replace('_', ' ')}\""
            for run in runs))
        for curve in runs.values():
            script += [f"{part} {loss}" for part, loss in curve] + ["e"]
    subprocess.run(["gnuplot"], input="\n".join(script), text=True, check=True)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=pathlib.Path,
                        default=ROOT / "runs/convergence")
    parser.add_argument("--models", default=",".join(MODELS))
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    rows, curves = [], {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        split_text(folder)
        for name in options.models.split(","):
            runs = [(name, MODELS[name]["rate"], list(POLICIES))]
            if name == "gpt-nano":
                runs.append((f"{name}, rate x {HIGH_RATE}",
                             MODELS[name]["rate"] * HIGH_RATE,
                             ["double_buffer", "stash"]))
            for title, rate, policies in runs:
                of_policy = curves.setdefault(title, {})
                for policy in policies:
                    base = "small" if POLICIES[policy][2] else None
                    key = ("data parallelism, small batch" if base
                           else "data parallelism")
                    if key not in of_policy:
                        of_policy[key] = train(MODELS[name], base, rate, folder)
                    of_policy[policy] = train(MODELS[name], policy, rate,
                                              folder)
                    loss = of_policy[policy][-1][1]
                    against = of_policy[key][-1][1]
                    rows.append((title, policy, loss, key, against))
                    print(f"{title:24} {policy:14} {loss:.4f}, {key} "
                          f"{against:.4f}, ratio {loss / against:.4f}",
                          flush=True)
    table = ["| model | policy | held-out loss | against | its loss | ratio |",
             "|---|---|---|---|---|---|"]
    table += [f"| {title} | {policy} | {loss:.4f} | {key} | {against:.4f} | "
              f"{loss / against:.4f} |"
              for title, policy, loss, key, against in rows]
    (options.output / "convergence.md").write_text("\n".join(table) + "\n")
    draw(curves, options.output / "convergence.svg")
    print(f"wrote {options.output}/convergence.md and convergence.svg")


if __name__ == "__main__":
    main()
