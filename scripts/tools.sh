#!/bin/bash
# Installs the agents' tools and MCP servers that PyPI has, each in a virtual environment of its own, and prints what
# came of it: `name<TAB>version` or `name<TAB>reason`. What is there already stays.
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

# name, the program in it, and packages: the versions that were tested (Sources/Executors says them too).
tool() {
  local name=$1 program=$2 venv=$prefix/venvs/$1 note
  shift 2
  if [ "$(cat "$venv/.installed" 2>/dev/null)" != "$*" ]; then
    rm -rf "$venv"
    if ! note=$({ "$python" -m venv "$venv" && "$venv/bin/pip" install --quiet --disable-pip-version-check "$@"; } 2>&1); then
      rm -rf "$venv"
      printf '%s\tnot to be had: %s\n' "$name" "$(tail -n 1 <<<"$note" | cut -c1-200)"
      return
    fi
    echo "$*" >"$venv/.installed"
  fi
  # A program that moved within its package is found again at each call.
  program=$(compgen -G "$venv/$program" | head -n 1)
  if [ -z "$program" ]; then
    printf '%s\tits program is not where it was in the tested version\n' "$name"
    return
  fi
  chmod 755 "$program"
  ln -sfn "$program" "$prefix/bin/$(basename "$program")"
  printf '%s\t%s\n' "$name" "$*"
}

tool claude-code 'lib/python3*/site-packages/claude_agent_sdk/_bundled/claude' claude-agent-sdk==0.2.188
tool codex 'lib/python3*/site-packages/codex_cli_bin/bin/codex' openai-codex-cli-bin==0.163.0
tool aider bin/aider aider-chat==0.86.2
tool mcp-server-time bin/mcp-server-time mcp-server-time==2026.10.19
tool mcp-server-git bin/mcp-server-git mcp-server-git==2026.10.19
tool mcp-server-fetch bin/mcp-server-fetch mcp-server-fetch==2026.10.24
# Written for the first generation of the SDK.
tool mcp-server-sqlite bin/mcp-server-sqlite mcp-server-sqlite==2025.4.25 'mcp<2'
