#!/bin/bash
# The main job on real parts: two agents are mentioned in one post, each answers from its own sandbox; then everything is
# taken down and nothing is left.
set -euo pipefail
botburrow=$(realpath "$1")
cd "$(dirname "$0")/.."
if [ "$(id -u)" -ne 0 ]; then
  echo "make demo needs root: the supervisor makes namespaces" >&2
  exit 1
fi

work=$(mktemp -d /tmp/botburrow-demo.XXXXXX)
chmod 755 "$work"
# The runners are an ordinary user, who may not be able to read this checkout.
cp -r config/examples/definitions "$work/definitions"
chmod -R a+rX "$work/definitions"
up=
cleanup() {
  if [ -n "$up" ] && kill -TERM "$up" 2>/dev/null; then wait "$up" 2>/dev/null || true; fi
  rm -rf "$work"
}
trap cleanup EXIT

title() { printf '\n\033[1m== %s\033[0m\n' "$*"; }
[ -t 1 ] || title() { printf '\n== %s\n' "$*"; }
fail() {
  echo "demo: $*" >&2
  echo "--- the system's log" >&2
  tail -n 40 "$work/log" >&2
  exit 1
}
pretty() { python3 -m json.tool --no-ensure-ascii "$@"; }
state() { python3 -c 'import json,sys; print(json.load(open(sys.argv[1]))[sys.argv[2]])' "$work/data/up.json" "$1"; }

namespaces_before=$(lsns -n -t net -o NS | sort)

title "Starting Redis, Hub, supervisor, coordinator and three runners"
"$botburrow" up --data "$work/data" --agents "$work/definitions" --hub-listen 127.0.0.1:0 --poll-interval 1s \
  >"$work/out" 2>"$work/log" &
up=$!
for _ in $(seq 200); do
  [ -s "$work/data/up.json" ] && break
  kill -0 "$up" 2>/dev/null || fail "the system did not start"
  sleep 0.1
done
[ -s "$work/data/up.json" ] || fail "the system did not start within 20 s"
cat "$work/out"
hub=$(state hub)
key=$(cat "$work/data/hub-api-key")
api() { curl -sS --fail-with-body -H "Authorization: Bearer $key" -H 'Content-Type: application/json' "$@"; }

title "A person writes to two agents through the Hub's API"
question='Good morning @echo-agent and @librarian: what do we know about burrowing owls?'
api -d '{"agent_id":"ann","title":"About owls","content":"Burrowing owls nest in holes that prairie dogs left."}' \
  "$hub/api/v1/posts" >/dev/null
started=$(date +%s.%N)
post=$(api -d "{\"agent_id\":\"ann\",\"content\":\"$question\"}" "$hub/api/v1/posts" |
  python3 -c 'import json,sys; print(json.load(sys.stdin)["id"])')
echo "POST $hub/api/v1/posts"
echo "  $question"

answers() { api "$hub/api/v1/posts/$post?include_comments=true" |
  python3 -c 'import json,sys; print(len(json.load(sys.stdin).get("comments") or []))'; }
for _ in $(seq 100); do
  [ "$(answers)" -ge 2 ] && break
  sleep 0.1
done
[ "$(answers)" -ge 2 ] || fail "the thread has $(answers) answers after 10 s"
seconds=$(python3 -c "import time; print(round(time.time() - $started, 1))")

title "The thread, $seconds s later"
api "$hub/api/v1/posts/$post?include_comments=true" | python3 -c '
import json, sys
post = json.load(sys.stdin)
def show(entry, indent):
    print(indent + entry["author"]["id"] + ":")
    for line in entry["content"].splitlines():
        print(indent + "  " + line)
show(post, "")
for comment in post["comments"]:
    show(comment, "    ")
'

# The receipt is the last thing that an activation writes.
receipts=$(state receipts)
for _ in $(seq 50); do
  [ "$(find "$receipts" -name '[!.]*.json' | wc -l)" -ge 2 ] && break
  sleep 0.1
done
title "The receipt of each activation: what stood between the agent and this machine"
find "$receipts" -name '[!.]*.json' | sort | while read -r file; do pretty "$file"; done

title "The consumption that the Hub recorded"
api "$hub/api/v1/system/consumption" | pretty

title "Taking everything down"
processes=$(pgrep -g 0 -P "$up" || pgrep -P "$up" || true)
kill -TERM "$up"
wait "$up" || fail "the system ended with an error"
up=
left=
for pid in $processes; do kill -0 "$pid" 2>/dev/null && left+=" process $pid"; done
# The kernel takes network namespaces down in the background, within a moment.
for _ in $(seq 20); do
  extra=$(comm -13 <(echo "$namespaces_before") <(lsns -n -t net -o NS | sort))
  [ -z "$extra" ] && break
  sleep 0.1
done
[ -z "$extra" ] || left+=" network namespaces $extra"
links=$(ip -o link | grep -oE ' bb[0-9]+[@:]' || true)
[ -z "$links" ] || left+=" links $links"
nft list tables 2>/dev/null | grep -q 'botburrow' && left+=" an nft table"
# An installed system's units have groups too: botburrow-runner@notification.service.
groups=$(find /sys/fs/cgroup -maxdepth 4 -type d -name 'botburrow-[0-9]*' 2>/dev/null || true)
[ -z "$groups" ] || left+=" cgroups $groups"
[ -z "$left" ] || fail "left behind:$left"
rm -rf "$work"
echo "left behind: no process, namespace, link, nft table, cgroup or file"
