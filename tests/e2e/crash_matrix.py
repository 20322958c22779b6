#!/usr/bin/env python3
r"""kill -9 at every step of the commit protocol, with real processes.

Each run draws one process and one place, trains a tiny GPT with a checkpoint
after every second step, and has that process end there (crash_point.cc). Then
the process is started again and the job goes on, by itself or from its newest
checkpoint. Whatever happened: every checkpoint that is listed as committed
verifies, the last step has one, and the job ends with the bits of an undisturbed run.

    make chaos                     200 cases
    bazel test //tests/e2e:crash_matrix_test --test_output=streamed \
        --test_arg=--runs=1 --test_arg=--seed=17        one case again
"""

import argparse
import collections
import json
import random
import signal
import sys
import tempfile

from cluster import Cluster, runfile, wait_for

STEPS = 12
EVERY = 2

# Of the commit protocol (docs/checkpoints.md), in its order: the call into the
# C library, the path it is on, and how often it is passed in a run.
COORDINATOR_PLACES = {
    "a shard is received": ("write", ".safetensors.part", 20),
    "a shard becomes durable": ("fdatasync", ".safetensors.part", 20),
    "a shard gets its name": ("rename", ".safetensors", 20),
    "the weight index is written": ("rename", "model.safetensors.index.json",
                                    3),
    "the training state is written": ("rename", "train_state.json", 3),
    "the manifest is written": ("fdatasync", "manifest.json.part", 3),
    "the manifest gets its name": ("rename", "/manifest.json", 3),
    "COMMIT is written": ("write", "COMMIT.part", 3),
    "COMMIT becomes durable": ("fdatasync", "COMMIT.part", 3),
    "COMMIT gets its name": ("rename", "/COMMIT", 3),
    "the hint LATEST is replaced": ("rename", "LATEST", 4),
    "a deletion begins": ("rename", "DELETING", 2),
    "the state store writes": ("pwrite64", "store.db-wal", 80),
    "the state store syncs": ("fdatasync", "store.db-wal", 40),
}
SERVER_PLACES = {
    "a stage server sends": ("sendmsg", "*", 120),
}


class Case(collections.namedtuple("Case", "process place when call path nth")):

    def __str__(self):
        return (f"{self.process}, {self.when} the {self.nth}. time that "
                f"{self.place}")

    def variable(self):
        return {"PENSTOCK_CRASH_AT":
                f"{self.when} {self.call} {self.path} {self.nth}",
                "LD_PRELOAD": runfile("tests/e2e/libcrash_point.so")}


def draw(rng):
    process = rng.choice(["coordinator", "coordinator", "server-0", "server-1"])
    places = (COORDINATOR_PLACES if process == "coordinator"
              else SERVER_PLACES)
    place = rng.choice(sorted(places))
    call, path, most = places[place]
    # As likely early as late, whatever the scale.
    nth = int(round(most ** rng.random()))
    return Case(process, place, rng.choice(["before", "after"]), call, path,
                nth)


class Run:
    """One case in a folder of its own."""

    def __init__(self, case, folder):
        self.case = case
        self.cluster = Cluster(folder, quiet=True)

    def checkpoints(self, job):
        return json.loads(
            self.cluster.penstock("ckpt", "list", job, "-o", "json"))

    def process(self):
        if self.case.process == "coordinator":
            return self.cluster.coordinator
        return self.cluster.servers[self.case.process]

    def start(self):
        cluster = self.cluster
        extra = self.case.variable()
        cluster.prepare_tokens()
        try:
            cluster.start_coordinator(
                environment=(extra if self.case.process == "coordinator"
                             else None))
        except AssertionError:
            # Before it listened.
            if not self.crashed():
                raise
            cluster.start_coordinator()
        for index in range(2):
            name = f"server-{index}"
            cluster.start_server(
                name, environment=extra if self.case.process == name else None)

    def crashed(self):
        return self.process().poll() == -signal.SIGKILL

    def start_again(self):
        """What has ended."""
        if self.case.process == "coordinator":
            self.cluster.start_coordinator()
        else:
            self.cluster.start_server(self.case.process)

    def submit(self, job_file):
        """The job's id, also if the coordinator ended while it answered."""
        for _ in range(2):
            try:
                return self.cluster.submit(job_file, "--resume=auto")
            except (AssertionError, ValueError):
                if not self.crashed():
                    raise
                self.start_again()
                jobs = json.loads(self.cluster.penstock("list", "-o", "json"))
                if jobs:
                    return jobs[-1]["id"]
        raise AssertionError("the job could not be submitted")

    def end_of(self, job):
        """The job once it has ended; what has crashed is started again."""
        restarted = False

        def ended():
            nonlocal restarted
            if self.crashed() and not restarted:
                restarted = True
                self.start_again()
            try:
                now = self.cluster.job(job)
            except AssertionError:
                if not self.crashed():
                    raise
                return None
            final = now["state"] in ("SUCCEEDED", "FAILED", "CANCELLED")
            return now if final else None

        return wait_for(ended, f"job {job} ends")

    def check_checkpoints(self, job):
        listed = self.checkpoints(job)
        for one in listed:
            if one["state"] == "CORRUPT":
                raise AssertionError(f"step {one['step']} is CORRUPT: "
                                     f"{one['reason']}")
            if one["state"] == "COMMITTED":
                self.cluster.penstock("ckpt", "verify",
                                      f"{job}@{one['step']}")
        return [one["step"] for one in listed if one["state"] == "COMMITTED"]

    def whole(self):
        """How often the job had to be submitted, and its digest."""
        self.start()
        job_file = self.cluster.write_job(
            "crash", STEPS, checkpoint=f"{{every_steps: {EVERY}}}")
        for attempt in range(1, 4):
            job = self.submit(job_file)
            done = self.end_of(job)
            if self.crashed():
                self.start_again()
            committed = self.check_checkpoints(job)
            if done["state"] == "SUCCEEDED":
                if not committed or committed[-1] != STEPS:
                    raise AssertionError(
                        f"the last step has no checkpoint: {committed}")
                return attempt, done["weights_digest"]
            self.cluster.wait_for_idle(2)
        raise AssertionError(f"job {job} is {done['state']}: {done['reason']}")


def undisturbed():
    with tempfile.TemporaryDirectory() as folder:
        cluster = Cluster(folder, quiet=True)
        with cluster:
            cluster.prepare_tokens()
            cluster.start(servers=2)
            job = cluster.submit(cluster.write_job("whole", STEPS))
            return cluster.wait_for_state(job, "SUCCEEDED")["weights_digest"]


def run_case(seed, digest):
    """Whether the place was reached."""
    case = draw(random.Random(seed))
    with tempfile.TemporaryDirectory() as folder:
        run = Run(case, folder)
        with run.cluster:
            try:
                attempts, got = run.whole()
                if got != digest:
                    raise AssertionError(f"digest {got}, wanted {digest}")
            except AssertionError as error:
                run.cluster.print_logs()
                raise AssertionError(f"seed {seed}: {case}: {error}") from error
            reached = run.cluster.has_killed()
    print(f"seed {seed}: {case}: "
          f"{'reached' if reached else 'not reached'}, submitted "
          f"{attempts} time{'s' if attempts > 1 else ''}", flush=True)
    return reached


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--seed", type=int,
                        help="of the first run; each next one's is one more "
                        "[drawn, and printed]")
    flags = parser.parse_args()
    first = (flags.seed if flags.seed is not None
             else random.SystemRandom().randrange(1 << 30))
    print(f"seeds {first} to {first + flags.runs - 1}", flush=True)
    digest = undisturbed()
    reached = sum(run_case(first + index, digest)
                  for index in range(flags.runs))
    print(f"{flags.runs} runs, {reached} of them with a crash: nothing was "
          "lost")
    return 0 if reached else 1


if __name__ == "__main__":
    sys.exit(main())
