#!/usr/bin/env python3
"""Penstock's UCX transport against ucx_perftest: one-way time of 64 B and 1 MiB
messages, and the rate of a stream of 1 MiB messages, through shared memory and
over TCP. Both sides are two processes with the same UCX_TLS and error mode.

    bazel build //tests/bench:transport_bench
    tests/bench/transport_bench.py [--rounds 9]

ucx_perftest's transfers carry no header, no sequence check and no deadline;
ours do. Rounds are interleaved (ours, theirs, ours, ...); prints each pair and
the ratio, median (min..max) over the rounds; above 1 Penstock is faster.
Target: at least 0.8.
"""

import argparse
import os
import pathlib
import re
import socket
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
OURS = ROOT / "bazel-bin/tests/bench/transport_bench"

WAYS = {"shared_memory": {"UCX_TLS": "posix,self"},
        "tcp": {"UCX_TLS": "tcp", "UCX_NET_DEVICES": "lo"}}
MIB = 1 << 20
# Test, bytes, messages.
CASES = [("latency", 64, 20000), ("latency", MIB, 1000), ("stream", MIB, 2000)]


def ours(way, test, size, count):
    """Microseconds, or bytes a second."""
    answer = subprocess.run(
        [OURS, way, test, str(size), str(count)], check=True,
        capture_output=True, text=True)
    return float(answer.stdout)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def theirs(way, test, size, count):
    """Microseconds, or bytes a second."""
    command = ["ucx_perftest", "-t", "tag_lat" if test == "latency" else "tag_bw",
               "-s", str(size), "-n", str(count), "-w", str(max(count // 10, 1)),
               "-p", str(free_port()), "-f", "-v"]
    if way == "tcp":
        command.append("-e")
    env = os.environ | WAYS[way] | {"UCX_LOG_LEVEL": "fatal",
                                    "UCX_WARN_UNUSED_ENV_VARS": "n"}
    server = subprocess.Popen(command, env=env, stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, text=True)
    try:
        # The server prints a line when it listens.
        client = None
        for _ in range(50):
            client = subprocess.run(command + ["127.0.0.1"], env=env,
                                    capture_output=True, text=True)
            if client.returncode == 0:
                break
            if server.poll() is not None:
                break
        server.communicate(timeout=60)
    finally:
        server.kill()
    rows = [row.split(",") for row in client.stdout.splitlines()
            if re.match(r"^[\d.]+,", row)]
    if not rows:
        sys.exit(f"ucx_perftest failed: {client.stdout}{client.stderr}")
    # iterations, latency 50th percentile, average, overall; MB/s average ...
    values = [float(value) for value in rows[-1]]
    return values[1] if test == "latency" else values[5] * MIB


def report(way, test, size, pairs):
    latency = test == "latency"
    ratios = [b / a if latency else a / b for a, b in pairs]
    unit = "us" if latency else "GB/s"
    scale = 1 if latency else 1e9
    a = statistics.median(pair[0] for pair in pairs) / scale
    b = statistics.median(pair[1] for pair in pairs) / scale
    name = f"{size // MIB} MiB" if size >= MIB else f"{size} B"
    print(f"{way:13} {test:7} {name:6} Penstock {a:8.2f} {unit:4} "
          f"ucx_perftest {b:8.2f} {unit:4} ratio {statistics.median(ratios):.2f} "
          f"({min(ratios):.2f}..{max(ratios):.2f}), target 0.80", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    print(f"{os.cpu_count()} cores, {rounds} interleaved rounds")
    for way in WAYS:
        for test, size, count in CASES:
            pairs = [(ours(way, test, size, count),
                      theirs(way, test, size, count)) for _ in range(rounds)]
            report(way, test, size, pairs)


if __name__ == "__main__":
    main()
