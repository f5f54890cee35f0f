#!/bin/bash
# boot.sh BASE IMAGE OUTPUT SECONDS [KERNEL-PARAMETER…]: boots the machine and waits until it powers off, for at most
# SECONDS. OUTPUT/console is what the kernel and systemd said, OUTPUT/results what the checks printed. The image stays as
# it is.
set -euo pipefail
base=$1 image=$2 output=$3 limit=$4
shift 4
mkdir -p "$output"
rm -f "$output"/{console,results,disk,swap}
mke2fs -q -t ext4 "$output/disk" 1G >/dev/null
truncate -s 256M "$output/swap"
machine=
stop() {
  # timeout(1) passes it on.
  if [ -n "$machine" ]; then kill -TERM "$machine" 2>/dev/null && wait "$machine" 2>/dev/null || true; fi
  rm -f "$output"/{disk,swap}
}
trap stop EXIT
trap 'exit 130' INT TERM HUP

# Emulated: the hosts of this project's tests have no /dev/kvm. It ends with this script, however that ends.
setpriv --pdeathsig TERM timeout --signal=KILL "$limit" \
  qemu-system-x86_64 -machine q35 -accel tcg,thread=multi -cpu max -smp 2 -m 2G \
  -nodefaults -no-user-config -display none -no-reboot -nic none \
  -kernel "$base/vmlinuz" -initrd "$base/initrd" \
  -append "console=ttyS0 quiet loglevel=4 panic=-1 net.ifnames=0 systemd.show_status=0 ${*}" \
  -drive "file=$image,format=raw,if=virtio,snapshot=on" \
  -drive "file=$output/disk,format=raw,if=virtio,cache=unsafe" \
  -drive "file=$output/swap,format=raw,if=virtio,cache=unsafe" \
  -serial "file:$output/console" -serial "file:$output/results" </dev/null &
machine=$!
code=0
wait "$machine" || code=$?
machine=
if [ "$code" -eq 137 ]; then echo "the machine took longer than $limit s and was switched off" >&2; fi
exit "$code"
