#!/bin/bash
# Runs the benchmarks against release binaries and keeps the newest table in docs/performance.md.
set -euo pipefail
release=$(realpath "$1")
cd "$(dirname "$0")/.."
work=$(mktemp -d /tmp/botburrow-bench.XXXXXX)
supervisor=
cleanup() {
  if [ -n "$supervisor" ]; then kill -TERM "$supervisor" 2>/dev/null && wait "$supervisor" 2>/dev/null || true; fi
  rm -rf "$work"
}
trap cleanup EXIT

# Best effort: a machine without delegated controllers is measured too, and the table says so.
"$release/botburrow" supervisor --socket "$work/supervisor.sock" --cgroup best-effort --log-level error 2>"$work/log" &
supervisor=$!
for _ in $(seq 100); do
  [ -S "$work/supervisor.sock" ] && break
  kill -0 "$supervisor" 2>/dev/null || { cat "$work/log" >&2; exit 1; }
  sleep 0.1
done
"$release/botburrow-bench" "$work/supervisor.sock" "$supervisor" "${ROUNDS:-200}" default "${ALIVE:-500}" \
  "$release/botburrow-floor" | tee "$work/table"
{
  echo "# Performance"
  echo
  echo "Written by \`make bench\`: medians of ${ROUNDS:-200} interleaved runs in one session."
  echo
  echo "- date: $(date -u +%F)"
  echo "- machine: $(nproc) cores, $(sed -n 's/^model name\s*: //p' /proc/cpuinfo | head -n 1), Linux $(uname -r)"
  echo "- peers: $(bwrap --version 2>/dev/null || echo 'no bwrap'), $(runc --version 2>/dev/null | head -n 1 || echo 'no runc')"
  echo
  echo "## One sandbox"
  echo
  echo "Botburrow is measured through its running supervisor, from connecting to the receipt; then nothing of the sandbox is"
  echo "left. bwrap gets \`--unshare-all\`, \`/usr\` read-only, proc, dev and two tmpfs."
  echo
  cat "$work/table"
} >docs/performance.md
