#!/usr/bin/env python3
"""`wire.compress: auto` on links of several speeds.

    make build
    sudo tests/bench/slow_link_bench.py [--rounds 3] [--steps 40]

Two stage servers train a GPT, each in a network namespace of its own, as on two
hosts. A pair of virtual Ethernet devices joins them, on which `tc tbf` lets
through no more than the rate under test; the control plane has another pair, at
full speed. It all lives in namespaces without names and ends with this script.

For each rate the same job runs with nothing compressed, always bf16, and auto.
Prints tokens a second over the whole run but its first step, over those of the
run of the same round without compression, as medians (min..max); and which part
of the activations' and gradients' bytes went over the wire. Wanted: auto as the
better one of the other two at each rate, 100 % of the bytes on the fast link
and about 50 % on the slow one.
"""

import argparse
import ctypes
import json
import os
import pathlib
import signal
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
COORDINATOR = ROOT / "bazel-bin/coordinator/penstock-coordinator"
SERVER = ROOT / "bazel-bin/stage_server/penstock-stage-server"
PENSTOCK = ROOT / "bazel-bin/client/penstock"

CONTROL = "10.77.1.1"
# Mbit/s; 0: not limited.
RATES = (0, 200, 20, 8)
COMPRESS = ("none", "bf16", "auto")
DEADLINE_SECONDS = 60

JOB = """\
name: slow-link-{compress}
model:
  preset: gpt-mini
  overrides: {{layers: 4, dropout: 0}}
data:
  tokens: {tokens}
  sequence_length: 128
batch_size: 16
steps: {steps}
schedule:
  name: one_f_one_b
  microbatches: 8
partition:
  stages: 2
wire:
  compress: {compress}
"""


def end_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)


def run(*command):
    return subprocess.run(command, check=True, capture_output=True,
                          text=True).stdout


class TwoHosts:
    """This namespace, another one, and two links in between; a context
    manager. Nothing of it outlives this process."""

    def __enter__(self):
        # UCX looks for interfaces in /sys, which is that of a namespace.
        self.other = subprocess.Popen(
            ["unshare", "-n", "-m", "sh", "-c",
             "mount -t sysfs sysfs /sys && echo ready && exec sleep infinity"],
            stdout=subprocess.PIPE, preexec_fn=end_with_parent)
        if self.other.stdout.readline() != b"ready\n":
            raise RuntimeError("no second network namespace")
        run("mount", "-t", "sysfs", "sysfs", "/sys")
        run("ip", "link", "set", "lo", "up")
        run(*self.there("ip", "link", "set", "lo", "up"))
        for index, link in enumerate(("data", "control")):
            run("ip", "link", "add", link, "type", "veth", "peer", "name",
                link, "netns", str(self.other.pid))
            for side, prefix in ((1, []), (2, self.there())):
                run(*prefix, "ip", "address", "add",
                    f"10.77.{index}.{side}/30", "dev", link)
                run(*prefix, "ip", "link", "set", link, "up")
        for prefix in ([], self.there()):
            self.await_up(prefix)
        return self

    @staticmethod
    def await_up(prefix):
        """UCX does not take a device that is about to come up."""
        end = time.monotonic() + DEADLINE_SECONDS
        while run(*prefix, "cat", "/sys/class/net/data/operstate") != "up\n":
            if time.monotonic() > end:
                raise RuntimeError("the data link does not come up")
            time.sleep(0.01)

    def __exit__(self, kind, value, trace):
        self.other.kill()
        self.other.wait()

    def there(self, *command):
        space = f"/proc/{self.other.pid}/ns"
        return ["nsenter", f"--net={space}/net", f"--mount={space}/mnt",
                *command]

    def limit(self, megabits):
        """What the data link lets through, each way."""
        for prefix in ([], self.there()):
            subprocess.run([*prefix, "tc", "qdisc", "del", "dev", "data",
                            "root"], check=False, capture_output=True)
            if megabits == 0:
                continue
            run(*prefix, "tc", "qdisc", "add", "dev", "data", "root", "tbf",
                "rate", f"{megabits}mbit", "burst", "256kb", "latency",
                "400ms")


class Cluster:
    """A coordinator and a stage server on each host; a context manager."""

    def __init__(self, hosts, folder):
        self.hosts = hosts
        self.folder = folder
        self.processes = []
        self.address = ""

    def start(self, log, command):
        with open(self.folder / log, "w", encoding="utf-8") as out:
            self.processes.append(subprocess.Popen(
                [str(part) for part in command], stdout=out, stderr=out,
                stdin=subprocess.DEVNULL, preexec_fn=end_with_parent))

    def __enter__(self):
        where = self.folder / "address"
        self.start("coordinator.log", [
            COORDINATOR, "--listen", f"{CONTROL}:0", "--insecure", "--store",
            self.folder / "store.db", "--address-file", where])
        end = time.monotonic() + DEADLINE_SECONDS
        while not where.exists():
            if time.monotonic() > end:
                raise RuntimeError("the coordinator does not listen: " +
                                   self.logs())
            time.sleep(0.05)
        self.address = where.read_text().strip()
        for name, prefix in (("here", []), ("there", self.hosts.there())):
            self.start(name + ".log", [
                *prefix, SERVER, "--coordinator", self.address, "--insecure",
                "--name", name, "--state-dir", self.folder / name,
                "--data-interface", "data"])
        return self

    def __exit__(self, kind, value, trace):
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            process.wait()

    def logs(self):
        return "\n".join(path.read_text()[-2000:]
                         for path in sorted(self.folder.glob("*.log")))

    def penstock(self, *arguments):
        done = subprocess.run(
            [PENSTOCK, "--coordinator", self.address, *arguments],
            cwd=self.folder, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(
                f"penstock {' '.join(arguments)}: {done.stdout}{done.stderr}"
                f"{self.logs()}")
        return json.loads(done.stdout)


def measure(cluster, compress, steps):
    """Tokens a second, and bytes on the wire over those in memory."""
    job_file = cluster.folder / "job.yaml"
    job_file.write_text(JOB.format(
        compress=compress, steps=steps, tokens=cluster.folder / "tokens.bin"))
    job = cluster.penstock("submit", str(job_file), "--follow", "-o", "json")
    edges = cluster.penstock("describe", job["id"], "-o", "json")["edges"]
    wire = sum(edge["bytes"] for edge in edges)
    return (job["tokens_per_second"],
            wire / sum(edge["tensor_bytes"] for edge in edges))


def figure(values):
    return (f"{statistics.median(values):.2f} "
            f"({min(values):.2f}..{max(values):.2f})")


def bench(rounds, steps):
    speeds, shares = {}, {}
    with tempfile.TemporaryDirectory() as name, TwoHosts() as hosts:
        folder = pathlib.Path(name)
        # Uniform random bytes: speed does not depend on what is read.
        (folder / "tokens.bin").write_bytes(
            b"".join(byte.to_bytes(2, "little") for byte in os.urandom(200_000)))
        with Cluster(hosts, folder) as cluster:
            for _ in range(rounds):
                for rate in RATES:
                    hosts.limit(rate)
                    plain = None
                    for compress in COMPRESS:
                        speed, share = measure(cluster, compress, steps)
                        plain = plain or speed
                        key = rate, compress
                        speeds.setdefault(key, []).append(speed / plain)
                        shares.setdefault(key, []).append(share)
    print(f"tokens/s over those without compression, 2 stages on 2 hosts of "
          f"{os.cpu_count()} cores together, {rounds} rounds of {steps} steps")
    print(f"{'Mbit/s':9} {'compress':9} {'tokens/s':20} bytes on the wire")
    for (rate, compress), values in speeds.items():
        share = statistics.median(shares[rate, compress])
        print(f"{str(rate or 'unlimited'):9} {compress:9} "
              f"{figure(values):20} {100 * share:.0f} %")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--in-namespace", action="store_true",
                        help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if not arguments.in_namespace:
        if os.geteuid() != 0:
            sys.exit("slow_link_bench: network namespaces need root")
        os.execvp("unshare", ["unshare", "-n", "-m", sys.executable, *sys.argv,
                              "--in-namespace"])
    # So that namespaces and servers end with a run that is cut short.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    bench(arguments.rounds, arguments.steps)


if __name__ == "__main__":
    main()
