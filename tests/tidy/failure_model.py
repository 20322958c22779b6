#!/usr/bin/env python3
"""Holds docs/failure_model.md against the tree.

Usage: failure_model.py ROOT. Each row of a table names a test that is in the
file that it names, or says "no test yet". Prints `line: what` for each row that
does not, and how many rows have no test; exits with 1 if a row is wrong.
"""

import os
import re
import sys

ROW = re.compile(r"^\| (?P<failure>.*?) \| (?P<what>.*?) ?\| (?P<test>.*) \|$")
TEST = re.compile(r"^`(?P<path>[\w/.]+): (?P<name>[^`]+)`$")
NONE = "no test yet"


def is_heading(row):
    return row.group("failure") == "failure" or \
        set(row.group("test")) <= {"-", "|"}


def problem(test, read):
    """What is wrong with a row's last cell; "" if nothing. `read` gives a
    file's text, or None if there is no such file."""
    if test == NONE or test.startswith(NONE + ":"):
        return ""
    match = TEST.match(test)
    if not match:
        return (f"{test}: wanted `path: name of the test`, or \"{NONE}\"")
    text = read(match.group("path"))
    if text is None:
        return f"there is no file {match.group('path')}"
    if not re.search(r"\b" + re.escape(match.group("name")) + r"\b", text):
        return f"{match.group('path')} has no test {match.group('name')}"
    return ""


def check(page, read):
    """Yields (line, problem) of each wrong row; (0, ...) if there are none."""
    rows = 0
    for number, line in enumerate(page.split("\n"), 1):
        if not line.startswith("|") or set(line) <= set("|- "):
            continue
        row = ROW.match(line)
        if row is None:
            yield number, "a row has three cells"
            continue
        if is_heading(row):
            continue
        rows += 1
        wrong = problem(row.group("test"), read)
        if wrong:
            yield number, wrong
    if rows == 0:
        yield 0, "the page has no rows"


def main():
    root = sys.argv[1]

    def read(path):
        try:
            with open(os.path.join(root, path), encoding="utf-8") as f:
                return f.read()
        except OSError:
            return None

    page = read("docs/failure_model.md") or ""
    problems = list(check(page, read))
    for number, what in problems:
        print(f"docs/failure_model.md:{number}: {what}")
    print(f"failure_model: {page.count('| ' + NONE)} rows without a test")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
