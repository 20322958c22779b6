#!/usr/bin/env python3
"""Holds the tree against the house rules of docs/architecture.md.

Usage: tidy.py ROOT. Prints `file:line: rule: what` for each violation and
exits with 1 if there is any. Each rule is a function from a file's path and
lines to its violations, so that tidy_rules_test.py can state facts about it.
"""

import os
import re
import subprocess
import sys

# Folder -> folders whose headers it may include. A longer prefix wins.
ARROWS = {
    "base": {"base"},
    "proto": {"proto"},
    "schedule": {"base", "proto", "schedule"},
    "models": {"base", "proto", "models"},
    "checkpoint": {"base", "proto", "checkpoint"},
    "coordinator": {"base", "proto", "schedule", "models/graph", "models/zoo",
                    "checkpoint", "coordinator"},
    "stage_server": {"base", "proto", "schedule/ir", "schedule/verifier",
                     "models", "checkpoint", "stage_server"},
    "client": {"base", "proto", "schedule", "models/graph", "models/zoo",
               "models/data", "checkpoint", "client"},
    "tests": {"base", "proto", "schedule", "models", "checkpoint",
              "coordinator", "stage_server", "client", "tests"},
}

# Header pattern -> path patterns (of the including file) that may include it.
RESTRICTED = [
    ("libtorch", r"^(ATen|torch|c10)/",
     r"^(stage_server/(engine|checkpoint)|models/(ops|layers|data|import)|"
     r"tests)/"),
    ("gRPC", r"^grpc(pp)?/|\.grpc\.pb\.h$",
     r"^([a-z_]+/service/|checkpoint/transfer/|client/|tests/|"
     r"[a-z_]+/[a-z_]+_main\.cc$)"),
    ("CUDA", r"^(cuda|nccl)[a-z_]*\.h$|^c10/cuda/",
     r"/cuda/|transport/nccl/"),
]

# Folders without clock, thread, lock, file or socket.
PURE = re.compile(r"^(schedule|coordinator/core|models/graph|models/zoo)/")
IMPURE_HEADER = re.compile(
    r"^(thread|mutex|condition_variable|future|fstream|filesystem|chrono|"
    r"sys/.*|unistd\.h|absl/time/clock\.h|absl/synchronization/.*|"
    r"base/(clock|mutex|file)\.h|spdlog/.*)$")

INCLUDE = re.compile(r'^#include ([<"])([^>"]+)[>"]')
BANNED = [
    (re.compile(r"\b(TODO|FIXME|XXX)\b"), "finish it or leave it out"),
    (re.compile(r"\b(class|struct) \w*(Manager|Handler|Helper|Util)s?\b"),
     "name the thing: Interpreter, Store, Loop, Catalog, ..."),
    (re.compile(r"#pragma once"), "use a header guard"),
]
SLEEP = re.compile(r"\b(sleep_for|SleepFor|usleep|nanosleep)\b")
AMBIENT = re.compile(
    r"\b(getenv|random_device|absl::Now|system_clock::now|gettimeofday|"
    r"absl::BitGen)\b")

MAX_FUNCTION = 70


def is_test(path):
    return (path.startswith("tests/") or path.endswith("_test.cc") or
            os.path.basename(path).startswith(("fake_", "test_")) or
            "conformance" in path or "/faulty/" in path)


def arrows(path, lines):
    top = path.split("/")[0]
    allowed = ARROWS.get(top)
    if allowed is None:
        return
    for number, line in enumerate(lines, 1):
        match = INCLUDE.match(line)
        if not match or match.group(1) == "<":
            continue
        header = match.group(2)
        if header.split("/")[0] not in ARROWS:
            continue
        if not any(header.startswith(a + "/") for a in allowed):
            if is_test(path) and top in ("stage_server", "coordinator",
                                         "client", "models", "schedule"):
                what = "a test beside the code keeps to its folder's arrows"
            else:
                what = "arrows point downward only"
            yield number, "arrows", f"{top} may not include {header}: {what}"


def restricted(path, lines):
    for number, line in enumerate(lines, 1):
        match = INCLUDE.match(line)
        if not match:
            continue
        for name, header, places in RESTRICTED:
            if re.search(header, match.group(2)) and \
                    not re.search(places, path):
                yield (number, "restricted",
                       f"{name} header {match.group(2)} not here")


def purity(path, lines):
    if not PURE.match(path) or is_test(path):
        return
    for number, line in enumerate(lines, 1):
        match = INCLUDE.match(line)
        if match and IMPURE_HEADER.match(match.group(2)):
            yield (number, "purity",
                   f"{match.group(2)} in a folder without clock, thread, "
                   "lock or file")


def banned(path, lines):
    for number, line in enumerate(lines, 1):
        for pattern, advice in BANNED:
            if pattern.search(line):
                yield number, "banned", advice
        if is_test(path) and SLEEP.search(line):
            yield number, "sleep", "wait on a condition with a deadline"


def ambient(path, lines):
    if (is_test(path) or path in ("base/clock.cc", "base/mutex.h") or
            path.endswith("_main.cc")):
        return
    for number, line in enumerate(lines, 1):
        match = AMBIENT.search(line.split("//")[0])
        if match:
            yield (number, "ambient",
                   f"{match.group(1)} only in *_main.cc and base/clock.cc; "
                   "take it as an argument")


def sizes(path, lines):
    limit = 400 if path.endswith(".h") else 800
    if len(lines) > limit:
        yield len(lines), "size", f"{len(lines)} lines, at most {limit}: split"


def functions(path, lines):
    """Bodies that begin and end at column 0, as clang-format leaves them."""
    start = None
    for number, line in enumerate(lines, 1):
        opens = (line.endswith("{") and line[:1] not in (" ", "}", "#", "")
                 and not re.match(
                     r"(namespace|class|struct|enum|union|extern|template)\b",
                     line))
        continued = (line.endswith("{") and line.startswith("    ") and
                     start is None and number > 1 and
                     re.match(r"[A-Za-z].*[(,]$", lines[number - 2]))
        if opens or continued:
            start = number
        elif line == "}" and start is not None:
            if number - start > MAX_FUNCTION:
                yield (start, "function",
                       f"{number - start} lines, at most {MAX_FUNCTION}")
            start = None
        elif line.startswith("}"):
            start = None


def header_guards(path, lines):
    if not path.endswith(".h"):
        return
    guard = "PENSTOCK_" + re.sub(r"[^A-Z0-9]", "_", path.upper()) + "_"
    if f"#ifndef {guard}" not in lines:
        yield 1, "guard", f"wanted #ifndef {guard}"


CPP_RULES = [arrows, restricted, purity, banned, ambient, sizes, functions,
             header_guards]
OTHER_RULES = [sizes]


def check_file(root, path):
    with open(os.path.join(root, path), encoding="utf-8") as f:
        lines = f.read().split("\n")
    if lines and lines[-1] == "":
        lines.pop()
    rules = CPP_RULES if path.endswith((".h", ".cc")) else OTHER_RULES
    for rule in rules:
        for number, name, what in rule(path, lines):
            yield f"{path}:{number}: {name}: {what}"


def main():
    root = sys.argv[1]
    paths = subprocess.run(
        ["git", "-C", root, "-c", f"safe.directory={root}", "ls-files",
         "--cached", "--others", "--exclude-standard"],
        check=True, capture_output=True, text=True).stdout.split("\n")
    checked = 0
    violations = []
    for path in paths:
        if path.endswith((".h", ".cc", ".py", ".js")) and \
                os.path.exists(os.path.join(root, path)):
            checked += 1
            violations += check_file(root, path)
    print("\n".join(violations))
    print(f"tidy: {checked} files, {len(violations)} violations")
    if checked < 20:
        print("tidy: too few files; is ROOT the repository's root?")
        return 1
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
