#!/bin/bash
# Prints a Python that has the S3 server which the tests use (moto); makes one in .build where there is none.
set -euo pipefail
cd "$(dirname "$0")/.."
has_moto() { "$1" -c 'import moto.server, flask' >/dev/null 2>&1; }
for python in "${BOTBURROW_TEST_PYTHON:-}" python3 .build/python/bin/python; do
  if [ -n "$python" ] && has_moto "$python"; then
    command -v "$python" | sed "s#^\.build#$PWD/.build#"
    exit 0
  fi
done
{
  scripts/packages.sh python3-venv
  python3 -m venv .build/python
  .build/python/bin/pip install --quiet 'moto[server]==5.2.1'
} >&2
echo "$PWD/.build/python/bin/python"
