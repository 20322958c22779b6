#!/usr/bin/env bash
# Runs tidy.py over the source tree that this test was built from.
set -euo pipefail
here="$(dirname "$0")"
root="$(dirname "$(readlink -f WORKSPACE)")"
python3 "$here/tidy.py" "$root"
