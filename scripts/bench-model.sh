#!/bin/bash
# Measures the model gateway beside its bare upstream and LiteLLM's proxy, in one run; prints tables in Markdown.
# The release folder comes first. SECONDS_EACH: length of a measurement. Exit 1 where a bound is missed, or LiteLLM can't be
# measured.
set -euo pipefail
release=$(realpath "$1")
cd "$(dirname "$0")/.."
each=${SECONDS_EACH:-5}
version=1.80.0
python=.build/bench-python-litellm
work=$(mktemp -d /tmp/botburrow-bench-model.XXXXXX)
pids=()
cleanup() {
  exec 7>&- 8>&- || true
  for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null && wait "$pid" 2>/dev/null || true; done
  rm -rf "$work"
}
trap cleanup EXIT
ulimit -n "$(ulimit -Hn)"

if ! "$python/bin/litellm" --help >/dev/null 2>&1; then
  { scripts/packages.sh python3-venv && python3 -m venv "$python" &&
    "$python/bin/pip" install --quiet "litellm[proxy]==$version"; } >&2 || echo "LiteLLM can't be installed" >&2
fi

lines() { for _ in $(seq 300); do [ -f "$1" ] && [ "$(wc -l <"$1")" -ge "$2" ] && return; sleep 0.1; done; cat "$1" >&2; exit 1; }
load() { "$release/botburrow-bench-model" load "$@"; }
# CPU seconds of a process and of those below it (LiteLLM may have some).
cpu() { for p in "$1" $(pgrep -P "$1" || true); do sed 's/.*) //' "/proc/$p/stat"; done |
  awk -v hz="$(getconf CLK_TCK)" '{ s += $12 + $13 } END { print s / hz }'; }
# Resident kB of the same.
resident() { for p in "$1" $(pgrep -P "$1" || true); do grep VmRSS "/proc/$p/status"; done | awk '{ s += $2 } END { print s }'; }
missed=()
# bound WHAT VALUE -le|-ge LIMIT: notes what is beyond its bound; the values may be fractions.
bound() {
  awk -v v="$2" -v how="$3" -v l="$4" 'BEGIN { exit !(how == "-le" ? v <= l : v >= l) }' ||
    missed+=("$1 is $2, not $([ "$3" = -le ] && echo "at most" || echo "at least") $4")
}
median() { sort -g | awk '{ a[NR] = $1 } END { print a[int((NR + 1) / 2)] }'; }

"$release/botburrow-bench-model" upstream 0 >"$work/upstream" &
pids+=($!)
lines "$work/upstream" 1
upstream=$(cat "$work/upstream")
mkfifo "$work/in"
exec 8<>"$work/in"
"$release/botburrow-bench-model-serve" "http://127.0.0.1:$upstream" 125 <"$work/in" >"$work/ports" &
gateway=$!
pids+=($gateway)
lines "$work/ports" 125
ports=$(paste -sd, "$work/ports")
first=${ports%%,*}

# In turn, so that what else the machine does falls on both.
load "$first" json 1 1 >/dev/null
for _ in 1 2 3 4 5; do
  for kind in json stream; do
    load "$upstream" $kind 1 1 >>"$work/direct-$kind"
    load "$first" $kind 1 1 >>"$work/gateway-$kind"
  done
done
echo "| one client, p50 ms | direct | through the gateway | added | bound |"
echo "| --- | ---: | ---: | ---: | ---: |"
for kind in json stream; do
  direct=$(awk '{ print $2 }' "$work/direct-$kind" | median)
  through=$(awk '{ print $2 }' "$work/gateway-$kind" | median)
  name=$([ $kind = json ] && echo "a whole JSON answer" || echo "first byte of a stream")
  added=$(awk -v d="$direct" -v g="$through" 'BEGIN { printf "%.3f", g - d }')
  awk -v n="$name" -v d="$direct" -v g="$through" -v a="$added" \
    'BEGIN { printf "| %s | %.3f | %.3f | %s | ≤ 1 |\n", n, d, g, a }'
  bound "what the gateway adds to $name, in ms," "$added" -le 1
done

# measure PID PORTS MODEL → requests a second, a second of CPU; resident kB
measure() {
  load "$2" json 16 2 "$3" >/dev/null
  local before after rate
  before=$(cpu "$1")
  rate=$(load "$2" json 16 "$each" "$3" | awk '{ print $1 }')
  after=$(cpu "$1")
  [ -n "$rate" ] || return 1
  awk -v r="$rate" -v s="$each" -v b="$before" -v a="$after" -v m="$(resident "$1")" \
    'BEGIN { print r, r * s / (a - b), m }'
}
measure "$gateway" "$ports" bench >"$work/ours"

echo
echo "| 16 clients, JSON | requests a second | a second of CPU | resident MB |"
echo "| --- | ---: | ---: | ---: |"
awk '{ printf "| botburrow | %.0f | %.0f | %.1f |\n", $1, $2, $3 / 1024 }' "$work/ours"
if [ -x "$python/bin/litellm" ]; then
  cat >"$work/litellm.yaml" <<END
model_list:
  - model_name: bench
    litellm_params: { model: anthropic/claude-3-5-haiku-20241022, api_base: "http://127.0.0.1:$upstream", api_key: upstream-key }
litellm_settings: { telemetry: false }
END
  # A port that is free now.
  port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
  LITELLM_LOCAL_MODEL_COST_MAP=True LITELLM_LOG=ERROR "$python/bin/litellm" --config "$work/litellm.yaml" \
    --host 127.0.0.1 --port "$port" --num_workers 1 --telemetry False >"$work/litellm.log" 2>&1 &
  litellm=$!
  pids+=($litellm)
  for _ in $(seq 120); do
    kill -0 "$litellm" 2>/dev/null || break
    load "$port" json 1 0.5 2>/dev/null >/dev/null && break
    sleep 0.5
  done
  measure "$litellm" "$port" bench >"$work/theirs" || { tail -n 20 "$work/litellm.log" >&2; exit 1; }
  awk -v v="$version" '{ printf "| LiteLLM %s, one worker | %.0f | %.0f | %.1f |\n", v, $1, $2, $3 / 1024 }' "$work/theirs"
  read -r rate each_cpu memory < <(paste "$work/ours" "$work/theirs" | awk '{
    printf "%.1f %.1f %.4f\n", $1 / $4, $2 / $5, $3 / $6 }')
  printf '| ratio | %s | %s (≥ 20) | %.3f (≤ 0.1) |\n' "$rate" "$each_cpu" "$memory"
  bound "requests a second of CPU, to LiteLLM's," "$each_cpu" -ge 20
  bound "resident memory, to LiteLLM's," "$memory" -le 0.1
  kill "$litellm"
else
  missed+=("LiteLLM isn't there to be measured beside")
fi

# 125 activations with 8 streams each.
mkfifo "$work/hold"
exec 7<>"$work/hold"
"$release/botburrow-bench-model" load "$ports" hold 1000 20 <"$work/hold" >"$work/held" &
pids+=($!)
lines "$work/held" 1
echo
held=$(awk -v m="$(resident "$gateway")" 'BEGIN { printf "%.1f", m / 1024 }')
echo "1,000 streams open through it: $held MB resident (≤ 80)."
bound "the memory of 1,000 streams, in MB," "$held" -le 80
if [ ${#missed[@]} -gt 0 ]; then
  printf 'missed: %s\n' "${missed[@]}" >&2
  exit 1
fi
