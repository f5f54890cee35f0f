#!/bin/bash
# image.sh BASE RELEASE IMAGE: the machine's disk: Debian with this project installed as an operator would, and the
# checks of Tests/Machine as a unit that runs once and powers off.
set -euo pipefail
here=$(dirname "$(realpath "$0")")
base=$(realpath "$1") release=$(realpath "$2") image=$3
project=$(realpath "$here/../..")
tree=$(mktemp -d "$(dirname "$image")/tree.XXXXXX")
trap 'rm -rf "$tree"' EXIT
cp -a --reflink=auto "$base/tree/." "$tree"

"$project/scripts/install.sh" "$release" "$tree" /usr/local >/dev/null
install -D -m 755 -s "$release/botburrow-machine" "$tree/usr/local/libexec/botburrow/botburrow-machine"
cp -r "$project/Tests/Machine/Guest/." "$tree"
# The hostile suite looks for all of its programs in one place.
if [ -e "$release/botburrow-hostile" ]; then
  suite=$tree/usr/local/libexec/botburrow-hostile
  for program in botburrow-hostile hostile-probe; do install -D -m 755 -s "$release/$program" "$suite/$program"; done
  ln -s ../../bin/botburrow ../botburrow/botburrow-init "$suite"
fi
cp -r "$project/config/examples/definitions" "$tree/etc/botburrow/definitions"
chroot "$tree" systemd-sysusers
chroot "$tree" systemctl -q enable botburrow-supervisor botburrow-machine
# What a machine for one run has no use for.
chroot "$tree" systemctl -q mask apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer \
  e2scrub_reap.service fstrim.timer getty@tty1.service serial-getty@ttyS0.service systemd-pstore.service \
  systemd-networkd.service
chroot "$tree" systemctl -q disable redis-server
# As an operator is told to: doctor looks.
sed -i 's/^appendonly no$/appendonly yes/' "$tree/etc/redis/redis.conf"
# A fixed identity, else the first boot makes one and presets every unit.
echo 0123456789abcdef0123456789abcdef >"$tree/etc/machine-id"
echo machine >"$tree/etc/hostname"
cat >"$tree/etc/fstab" <<'FSTAB'
/dev/vda / ext4 noatime 0 0
/dev/vdb /var/lib/botburrow/workspaces ext4 noatime 0 0
FSTAB
mkdir -p "$tree/var/lib/botburrow/workspaces"
rm -f "$tree/etc/resolv.conf"

rm -f "$image"
size=$(($(du -sm "$tree" | cut -f 1) + 512))
mke2fs -q -t ext4 -O ^has_journal -E lazy_itable_init=1 -d "$tree" "$image" "${size}M"
