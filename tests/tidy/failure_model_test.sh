#!/usr/bin/env bash
# Runs failure_model.py over the source tree that this test was built from, and
# the tests of its rules.
set -euo pipefail
here="$(dirname "$0")"
root="$(dirname "$(readlink -f WORKSPACE)")"
PYTHONDONTWRITEBYTECODE=1 python3 "$here/failure_model_rules_test.py"
python3 "$here/failure_model.py" "$root"
