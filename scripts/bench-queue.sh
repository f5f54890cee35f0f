#!/bin/bash
# Measures the queue: claims, latency, beside other queues, with a million agents, and idle. Prints tables in Markdown; ends with
# an error where a bound is missed. The release folder comes first. JOBS: how many one measurement takes;
# PEERS: which others are measured; AGENTS: how many are on the schedule.
set -euo pipefail
release=$(realpath "$1")
cd "$(dirname "$0")/.."
bench=$release/botburrow-bench-queue
botburrow=$release/botburrow
jobs=${JOBS:-30000}
peers=${PEERS-rq==3.0.0 celery==5.7.0 arq==0.28.0 dramatiq==2.2.1}
work=$(mktemp -d /tmp/botburrow-bench-queue.XXXXXX)
# Agents' definitions are read by an ordinary user.
chmod 755 "$work"
pids=()
# Ends what was started after the first $1 of them; a stopped one must go on to end.
end() {
  local pid
  for pid in "${pids[@]:$1}"; do kill -TERM "$pid" 2>/dev/null && kill -CONT "$pid" 2>/dev/null || true; done
  for pid in "${pids[@]:$1}"; do
    for _ in $(seq 50); do kill -0 "$pid" 2>/dev/null || break; sleep 0.1; done
    kill -KILL "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
  done
  pids=("${pids[@]:0:$1}")
}
cleanup() {
  end 0
  rm -rf "$work"
}
trap cleanup EXIT
missed=()
# bound NAME FIGURE OPERATOR LIMIT: remembers what doesn't hold.
bound() { awk -v a="$2" -v b="$4" "BEGIN { exit !(a $3 b) }" || missed+=("$1: $2, bound $3 $4"); }
median() { sort -g | awk '{ a[NR] = $1 } END { print a[int((NR + 1) / 2)] }'; }
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
comma() { local IFS=,; echo "$*"; }

# redis FSYNC → $redis, $port, $url
redis() {
  port=$(free_port)
  url=redis://127.0.0.1:$port
  mkdir -p "$work/redis-$port"
  redis-server --bind 127.0.0.1 --port "$port" --dir "$work/redis-$port" --appendonly yes --appendfsync "$1" --save "" \
    --loglevel warning >"$work/redis-$port/log" 2>&1 &
  redis=$!
  pids+=($redis)
  for _ in $(seq 100); do redis-cli -p "$port" ping >/dev/null 2>&1 && return; sleep 0.05; done
  cat "$work/redis-$port/log" >&2
  exit 1
}

# --- Throughput and latency of jobs that do nothing

# workers COMMAND…: eight of them, whose ids go to $workers
workers() {
  local index
  workers=()
  for index in 1 2 3 4 5 6 7 8; do
    "$@" >"$work/worker-$index" 2>&1 &
    workers+=($!)
  done
  pids+=("${workers[@]}")
}
# measure KEYS JOBS FILL…: → $figures: jobs a second, a second of the workers' CPU, a second of theirs and of Redis's
measure() {
  local keys=$1 jobs=$2
  shift 2
  "$@" 200
  "$bench" drain "$url" "$redis" "$keys" "$(comma "${workers[@]}")" >/dev/null
  : >"$work/runs"
  for _ in 1 2 3; do
    # Stopped, so that all begin at once and the list is full.
    kill -STOP "${workers[@]}"
    "$@" "$jobs"
    "$bench" drain "$url" "$redis" "$keys" "$(comma "${workers[@]}")" >>"$work/runs"
  done
  figures=$(for field in '$1' '$2' '($2 + $3)'; do awk -v n="$jobs" "{ print n / $field }" "$work/runs" | median; done | xargs)
}
# latency PUSH…: → $latency: p50 and p99 in ms from push to start, with one idle worker
latency() {
  kill -TERM "${workers[@]:1}" 2>/dev/null || true
  sleep 1
  "$@" 20 20
  "$bench" latencies "$url" 20 >/dev/null
  redis-cli -p "$port" del bench:latency >/dev/null
  "$@" 200 20
  latency=$("$bench" latencies "$url" 200)
}
cycles() {
  redis "$1"
  workers "$bench" work "$url"
  measure LLEN:runner:notification:work,ZCARD:botburrow:leases "$2" "$bench" fill "$url"
  latency "$bench" push "$url"
  end 0
}
keys() {
  case $1 in
    rq) echo LLEN:rq:queue:default,ZCARD:rq:wip:default ;;
    celery) echo LLEN:celery,HLEN:unacked ;;
    arq) echo ZCARD:arq:queue ;;
    dramatiq) echo HLEN:dramatiq:default.msgs ;;
  esac
}
line() { # NAME
  set -- "$1" $figures $latency
  printf '| %s | %.0f | %.0f | %.0f | %.2f | %.2f |\n' "$@"
}

echo "| 8 worker processes, an empty job | jobs a second | a second of the workers' CPU | of theirs and Redis's | push → start, p50 ms | p99 ms |"
echo "| --- | ---: | ---: | ---: | ---: | ---: |"
cycles always $((jobs / 3))
line "botburrow, claim and finish, appendfsync always"
cycles everysec "$jobs"
line "botburrow, claim and finish, appendfsync everysec"
ours="$figures $latency"
read -r rate per_worker per_core p50 _ <<<"$ours"
bound "claim and finish a second, appendfsync everysec" "$rate" '>=' 5000
reasons=()
for package in $peers; do
  peer=${package%%==*}
  python=$PWD/.build/bench-python-queue/$package/bin/python
  # One environment for each: they want different versions of redis-py.
  if ! "$python" -c "import $peer, packaging, hiredis" 2>/dev/null; then
    { scripts/packages.sh python3-venv && python3 -m venv ".build/bench-python-queue/$package" &&
      "$python" -m pip install --quiet "$package" redis hiredis packaging; } >&2 ||
      { reasons+=("$package is not here: pip could not install it"); missed+=("$package could not be measured beside"); continue; }
  fi
  redis everysec
  workers "$python" Benchmarks/Queue/peers.py work "$peer" "$port"
  count=$((jobs / 3))
  case $peer in rq | arq) count=$((jobs / 10)) ;; esac
  measure "$(keys "$peer")" "$count" "$python" Benchmarks/Queue/peers.py fill "$peer" "$port"
  latency "$python" Benchmarks/Queue/peers.py push "$peer" "$port"
  end 0
  line "$peer ${package##*==}"
  read -r _ their_workers their_core their_p50 _ <<<"$figures $latency"
  bound "throughput per core beside $peer" "$per_core" '>' "$their_core"
  bound "throughput per worker's core beside $peer" "$per_worker" '>' "$their_workers"
  bound "push → start, p50 ms, beside $peer" "$p50" '<' "$their_p50"
done
for reason in "${reasons[@]}"; do echo; echo "$reason"; done

# --- A whole system

mkdir -p "$work/definitions/agents/clock"
cat >"$work/definitions/agents/clock/config.yaml" <<'END'
name: clock
type: custom
brain: { model: none }
capabilities: { grants: [hub:read] }
executor: { command: /bin/date, args: ["+%s%N"] }
cache_ttl: 3600
END
echo 'You tell the time.' >"$work/definitions/agents/clock/system-prompt.md"
state() { python3 -c 'import json,sys; print(json.load(open(sys.argv[1]))[sys.argv[2]])' "$work/up/up.json" "$1"; }
"$botburrow" up --data "$work/up" --agents "$work/definitions" --hub-listen 127.0.0.1:0 --hub-open --poll-interval 30s \
  --log-level warning >"$work/up.out" 2>"$work/up.log" &
up=$!
pids+=($up)
for _ in $(seq 200); do
  [ -s "$work/up/up.json" ] && break
  kill -0 "$up" 2>/dev/null || { cat "$work/up.log" >&2; exit 1; }
  sleep 0.1
done
hub=$(state hub)
socket=$work/up/redis/redis.sock
read -r p50 p99 < <(python3 Benchmarks/Queue/latency.py "$socket" "$hub" 220)
echo
echo "| an idle system: runner, supervisor, Hub | p50 ms | p99 ms | bound |"
echo "| --- | ---: | ---: | ---: |"
printf '| LPUSH → the agent runs in its sandbox | %.2f | %.2f | p50 ≤ 10 |\n' "$p50" "$p99"
bound "LPUSH → agent, p50 ms" "$p50" '<=' 10

# Ten runners: those of \`up\`, and seven more.
for index in 2 3 4 5 6 7 8; do
  HUB_API_KEY=none "$botburrow" runner --pool hybrid --instance "$index" --agents "$work/definitions" --hub "$hub" \
    --redis "unix://$socket" --socket "$work/up/supervisor.sock" --receipts "$work/up/receipts" --log-level warning \
    --metrics "unix:$work/up/metrics/more-$index.sock" 2>>"$work/up.log" &
  pids+=($!)
done
sleep 5
runners=($(pgrep -P "$up" -f ' runner --pool ') "${pids[@]:1}")
[ ${#runners[@]} -eq 10 ] || { echo "${#runners[@]} runners run, not 10" >&2; tail -n 20 "$work/up.log" >&2; exit 1; }
others=(coordinator supervisor redis-server)
all=("${runners[@]}")
for name in "${others[@]}"; do all+=($(pgrep -P "$up" -f "$name( |$)" | head -n 1)); done
before=(); for pid in "${all[@]}"; do before+=($("$bench" cpu "$pid")); done
"$bench" commands "unix://$socket" 30 >"$work/commands"
shares=(); for index in "${!all[@]}"; do
  shares+=($(awk -v a="${before[$index]}" -v b="$("$bench" cpu "${all[$index]}")" 'BEGIN { print (b - a) / 30 * 100 }'))
done
# Inside scripts are all commands but these.
asked=$(awk '$1 ~ /^(evalsha|blmove|brpop|subscribe|publish|ping)/ { s += $2 } END { print s / 10 }' "$work/commands")
inside=$(awk '{ s += $2 } END { print s / 10 }' "$work/commands")
busiest=$(printf '%s\n' "${shares[@]:0:10}" | sort -g | tail -n 1)
echo
echo "| idle for 30 s: 10 runners, coordinator | figure | bound |"
echo "| --- | ---: | ---: |"
printf '| the busiest runner, %% of a core | %.2f | < 1 |\n' "$busiest"
bound "idle runner, % of a core" "$busiest" '<' 1
for index in 0 1 2; do
  printf '| %s, %% of a core | %.2f | < 1 |\n' "${others[$index]}" "${shares[$((10 + index))]}"
  bound "idle ${others[$index]}, % of a core" "${shares[$((10 + index))]}" '<' 1
done
printf '| Redis commands a second, a runner | %.2f | < 5 |\n| the same with those inside scripts | %.2f | < 5 |\n' "$asked" "$inside"
bound "Redis commands a second, a runner, with those inside scripts" "$inside" '<' 5
end 0

# --- A million agents

agents=${AGENTS:-1000000}
redis everysec
empty=$(redis-cli -p "$port" info memory | awk -F: '$1 == "used_memory" { print $2 + 0 }')
"$bench" schedule "$url" "$agents"
memory=$(redis-cli -p "$port" info memory | awk -F: -v e="$empty" '$1 == "used_memory" { print ($2 - e) / 1048576 }')
"$bench" bucket "$agents" >"$work/bucket" &
pids+=($!)
hub_port=$(free_port)
"$botburrow" hub --listen "127.0.0.1:$hub_port" --open --journal "$work/journal" 2>"$work/hub.log" >&2 &
pids+=($!)
for _ in $(seq 100); do [ -s "$work/bucket" ] && break; sleep 0.05; done
cat >"$work/million.yaml" <<END
runners:
  exploration: { replicas: 1 }
redis: { url: "$url" }
hub: { url: "http://127.0.0.1:$hub_port", api_key: none }
r2: { bucket: bench, endpoint: "http://127.0.0.1:$(cat "$work/bucket")", access_key_id: none, secret_access_key: none }
END
"$botburrow" coordinator --config "$work/million.yaml" --metrics "unix:$work/metrics.sock" --log-level warning \
  2>"$work/coordinator.log" &
coordinator=$!
pids+=($coordinator)
gauge() { curl -s --unix-socket "$work/metrics.sock" http://metrics/metrics | awk -v n="$1" '$1 == n { print $2 }'; }
: >"$work/ticks"
: >"$work/ahead"
for _ in 1 2 3 4 5 6 7; do
  # A tick that queues all that there is room for leaves a full list.
  for _ in $(seq 300); do
    [ "$(redis-cli -p "$port" llen runner:exploration:work)" = 100 ] && break
    sleep 0.05
  done
  # What the next is about is read by then.
  sleep 1
  [ "$(redis-cli -p "$port" llen runner:exploration:work)" = 100 ] ||
    { echo "no tick queued 100 agents within 15 s" >&2; tail "$work/coordinator.log" >&2; exit 1; }
  gauge botburrow_staleness_tick_seconds | awk '{ print $1 * 1000 }' >>"$work/ticks"
  gauge botburrow_staleness_read_ahead_seconds | awk '{ print $1 * 1000 }' >>"$work/ahead"
  redis-cli -p "$port" del runner:exploration:work >/dev/null
done
# A leader's first has nothing read ahead.
first=$(head -n 1 "$work/ticks")
tick=$(tail -n +2 "$work/ticks" | median)
ahead=$(median <"$work/ahead")
resident=$(awk '$1 == "VmHWM:" { print $2 / 1024 }' "/proc/$coordinator/status")
echo
echo "| $agents agents on the schedule | figure | bound |"
echo "| --- | ---: | ---: |"
printf '| a tick that queues 100 of them, ms | %.1f | ≤ 20 |\n' "$tick"
printf '| reading the definitions and budgets of the next 100 ahead, ms | %.1f | |\n' "$ahead"
printf "| a leader's first tick, with nothing read ahead, ms | %.1f | |\n" "$first"
printf '| coordinator, MB resident at its most | %.1f | ≤ 60 |\n' "$resident"
printf '| Redis, MB for the schedule | %.1f | ≤ 120 |\n' "$memory"
bound "tick, ms" "$tick" '<=' 20
bound "coordinator, MB" "$resident" '<=' 60
bound "Redis, MB" "$memory" '<=' 120
end 0

if [ ${#missed[@]} -gt 0 ]; then
  printf 'missed: %s\n' "${missed[@]}" >&2
  exit 1
fi
