#!/bin/bash
# Prints a Python that has real MCP clients, the SDK and fastmcp, which tests run inside sandboxes; makes one in
# .build/clients where there is none.
set -euo pipefail
cd "$(dirname "$0")/.."
place=$PWD/.build/clients
wanted='mcp==2.3.0 fastmcp==4.2.3'
if [ "$(cat "$place/.installed" 2>/dev/null)" != "$wanted" ]; then
  {
    scripts/packages.sh python3-venv
    rm -rf "$place"
    umask 022
    # The system's own: one from somebody's home isn't there inside a sandbox.
    /usr/bin/python3 -m venv "$place"
    # shellcheck disable=SC2086
    "$place/bin/pip" install --quiet --disable-pip-version-check $wanted
    echo "$wanted" >"$place/.installed"
  } >&2
fi
echo "$place/bin/python"
