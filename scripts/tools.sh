#!/bin/bash
# Installs the agents' tools and MCP servers that PyPI has, each in a virtual environment of its own. What is there already
# stays. Prints a line for each, and keeps them in PREFIX/status: name, then `installed`, `unavailable` (there is no such
# package, or no registry) or `broken`, then version or reason, between tabs. Exit 1 where one is broken.
#   scripts/tools.sh [PREFIX]     /opt/botburrow/tools, which the shipped profiles show inside sandboxes
set -uo pipefail
cd "$(dirname "$0")/.."
prefix=${1:-/opt/botburrow/tools}
# The system's own: one from somebody's home isn't there inside a sandbox, where only /usr is.
python=/usr/bin/python3
scripts/packages.sh python3-venv git >&2 || exit 1
# Readable by the users of every sandbox, writable by root.
umask 022
mkdir -p "$prefix/bin" "$prefix/venvs" || exit 1

status=$prefix/status
: >"$status.new"
broken=0
came() { # STATE NOTE: of the tool that is being installed
  [ "$1" = broken ] && broken=1
  printf '%s\t%s\t%s\n' "$name" "$1" "$(tr '\t' ' ' <<<"$2")" | tee -a "$status.new"
}

# name, the program in it, and packages: the versions that were tested (Sources/Executors says them too).
tool() {
  local name=$1 program=$2 venv=$prefix/venvs/$1 note
  shift 2
  if [ "$(cat "$venv/.installed" 2>/dev/null)" != "$*" ]; then
    rm -rf "$venv"
    if ! note=$({ "$python" -m venv "$venv" && "$venv/bin/pip" install --quiet --disable-pip-version-check "$@"; } 2>&1); then
      rm -rf "$venv"
      local reason state=broken
      reason=$(grep -v '^$' <<<"$note" | tail -n 1 | cut -c1-200)
      # pip's words for a package that isn't there and for a registry that isn't.
      grep -qE 'No matching distribution found|Could not find a version|Connection (broken|refused|reset)|timed out|Temporary failure in name resolution|Max retries exceeded' \
        <<<"$note" && state=unavailable
      came "$state" "$reason"
      return
    fi
    echo "$*" >"$venv/.installed"
  fi
  # A program that moved within its package is found again at each call.
  program=$(compgen -G "$venv/$program" | head -n 1)
  if [ -z "$program" ]; then
    came broken 'its program is not where it was in the tested version'
    return
  fi
  chmod 755 "$program"
  ln -sfn "$program" "$prefix/bin/$(basename "$program")"
  came installed "$*"
}

tool claude-code 'lib/python3*/site-packages/claude_agent_sdk/_bundled/claude' claude-agent-sdk==0.2.188
tool codex 'lib/python3*/site-packages/codex_cli_bin/bin/codex' openai-codex-cli-bin==0.163.0
tool aider bin/aider aider-chat==0.86.2
tool mcp-server-time bin/mcp-server-time mcp-server-time==2026.10.19
tool mcp-server-git bin/mcp-server-git mcp-server-git==2026.10.19
tool mcp-server-fetch bin/mcp-server-fetch mcp-server-fetch==2026.10.24
# Written for the first generation of the SDK.
tool mcp-server-sqlite bin/mcp-server-sqlite mcp-server-sqlite==2025.4.25 'mcp<2'
mv "$status.new" "$status"
exit $broken
