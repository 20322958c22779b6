#!/usr/bin/env bash
# Runs a Python test that uses cluster.py: run_python_test.sh FILE [ARGUMENT...],
# its path from the repository's root.
set -euo pipefail
readonly ROOT="$TEST_SRCDIR/$TEST_WORKSPACE"
PYTHONDONTWRITEBYTECODE=1 PYTHONPATH="$ROOT/tests/e2e" \
  exec python3 "$ROOT/$1" "${@:2}"
