#!/bin/bash
# machine.sh RELEASE: boots Debian 12 with systemd and pure cgroup v2 in a machine of this project's own, twice, and has
# Tests/Machine check there what development machines lack. Ends with `machine: checks N, held N, skipped N`.
set -euo pipefail
release=$(realpath "$1")
here=$(dirname "$(realpath "$0")")/machine
work=$(dirname "$here")/../.build/machine
mkdir -p "$work"
# Two runs would take each other's disks away.
exec 9>"$work/lock"
flock -n 9 || { echo "another make machine is running here" >&2; exit 1; }
work=$(realpath "$work")
if [ "$(id -u)" -ne 0 ]; then
  echo "make machine needs root: it makes a Debian tree" >&2
  exit 1
fi

base=$("$here/base.sh" "$work" 2>"$work/base.log") || { tail -n 40 "$work/base.log" >&2; exit 1; }
# Made anew where anything that goes in has changed.
hash=$({
  basename "$base"
  cat "$here"/{image.sh,../install.sh}
  for program in botburrow{,-init,-machine,-hostile} hostile-probe; do
    [ ! -e "$release/$program" ] || sha256sum "$release/$program"
  done
  cd "$here/../.." && find profiles systemd config Tests/Machine/Guest -type f | LC_ALL=C sort | xargs sha256sum
} | sha256sum | cut -c 1-16)
image=$work/disk-$hash.img
if [ ! -e "$image" ]; then
  rm -f "$work"/disk-*.img
  "$here/image.sh" "$base" "$release" "$image.new" >"$work/image.log" 2>&1 || { cat "$work/image.log" >&2; exit 1; }
  mv "$image.new" "$image"
fi

checks=0 held=0 skipped=0 broken=0
# boot NAME SECONDS [KERNEL-PARAMETER…]
boot() {
  local name=$1 limit=$2 start=$SECONDS line
  shift 2
  echo "machine: booting '$name'"
  setpriv --pdeathsig TERM "$here/boot.sh" "$base" "$image" "$work/$name" "$limit" "botburrow.machine=$name" "$@" || true
  # The Test Anything Protocol; the serial line ends lines with CR LF.
  local plan=-1 count=0
  while IFS= read -r line; do
    line=${line%$'\r'}
    case $line in
      "ok "*"# SKIP"*) skipped=$((skipped + 1)) ;;&
      "not ok "*) ;;&
      "ok "*"# SKIP"* | "not ok "*) ;;
      "ok "*) held=$((held + 1)) ;;
    esac
    case $line in
      "ok "* | "not ok "*) count=$((count + 1)) && echo "  $line" ;;
      "1.."*) plan=${line#1..} ;;
    esac
  done <"$work/$name/results"
  checks=$((checks + count))
  if [ "$plan" -ne "$count" ]; then
    broken=1
    echo "machine: '$name' broke off after $count checks; its console ($work/$name/console) ends so:" >&2
    tail -n 30 "$work/$name/console" >&2
  fi
  echo "machine: '$name' took $((SECONDS - start)) s"
}

boot full "${MACHINE_SECONDS:-900}"
# Debian's list without Landlock.
boot no-landlock 120 lsm=lockdown,yama,apparmor,tomoyo,bpf
echo "machine: checks $checks, held $held, skipped $skipped"
[ "$broken" -eq 0 ] && [ $((held + skipped)) -eq "$checks" ]
