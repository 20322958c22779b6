"""What benchmarks of whole jobs on this machine share."""

import json
import os
import pathlib
import signal
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
PENSTOCK = ROOT / "bazel-bin/client/penstock"


def end_on_sigterm():
    """So that servers end with a run that is cut short."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))


def write_tokens(path):
    """Uniform random bytes: speed does not depend on what is read."""
    path.write_bytes(b"".join(byte.to_bytes(2, "little")
                              for byte in os.urandom(200_000)))


def figure(values):
    return (f"{statistics.median(values):.3f} "
            f"({min(values):.3f}..{max(values):.3f})")


class LocalCluster:
    """`penstock local up` with a state folder of its own; a context manager."""

    def __init__(self, folder, stages):
        self.folder = folder
        self.stages = stages
        self.environment = dict(os.environ, XDG_STATE_HOME=str(folder))

    def __enter__(self):
        up = json.loads(self.run("local", "up", "--stages", str(self.stages),
                                 "--listen", "127.0.0.1:0", "-o", "json"))
        self.environment["PENSTOCK_COORDINATOR"] = up["coordinator"]
        return self

    def __exit__(self, kind, value, trace):
        self.run("local", "down")

    def run(self, *arguments):
        """What the command prints."""
        return subprocess.run([PENSTOCK, *arguments], cwd=self.folder,
                              env=self.environment, check=True,
                              capture_output=True, text=True).stdout

    def train(self, content):
        """The summary of a job with that job file, once it has succeeded."""
        job_file = self.folder / "job.yaml"
        job_file.write_text(content)
        return json.loads(self.run("submit", str(job_file), "--follow", "-o",
                                   "json"))

    def step_seconds(self, job):
        """The predicted time of a step, and the median of the traced steps that
        its costs are from."""
        shown = json.loads(self.run("timeline", job["id"], "-o", "json"))
        measured = statistics.median(
            json.loads(self.run("timeline", job["id"], "--step", str(step),
                                "-o", "json"))["measured"]["seconds"]
            for step in shown["cost_steps"])
        return shown["predicted"]["seconds"], measured
