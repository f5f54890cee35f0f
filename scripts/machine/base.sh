#!/bin/bash
# base.sh DIRECTORY: Debian 12 as a tree, its kernel and an initramfs of ours, in DIRECTORY/base-<hash of what it is made
# of>; made once, prints that path.
set -euo pipefail
here=$(dirname "$(realpath "$0")")
directory=$1
mapfile -t packages < <(grep -v '^#' "$here/packages")
hash=$(cat "$here/packages" "$here/base.sh" "$here/initramfs-init" | sha256sum | cut -c 1-16)
base=$directory/base-$hash
if [ -e "$base/complete" ]; then
  echo "$base"
  exit 0
fi
{
  rm -rf "$directory"/base-*
  mkdir -p "$base"
  # No manual pages, no translations; no initramfs of Debian's, which takes long to make and longer to unpack.
  include=$(IFS=,; echo "${packages[*]}")
  # shellcheck disable=SC2016 # $1 is mmdebstrap's
  mmdebstrap --variant=minbase --include="$include" \
    --aptopt='APT::Install-Recommends "false"' \
    --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
    --dpkgopt='path-exclude=/usr/share/doc/*' \
    --dpkgopt=force-confold \
    --essential-hook='mkdir -p "$1/etc/initramfs-tools" && echo update_initramfs=no >"$1/etc/initramfs-tools/update-initramfs.conf"' \
    bookworm "$base/tree"

  tree=$base/tree
  kernel=$(basename "$tree"/lib/modules/*)
  # Without it veth and nf_tables can't be loaded by name.
  chroot "$tree" depmod "$kernel"
  cp "$tree/boot/vmlinuz-$kernel" "$base/vmlinuz"

  ram=$base/initramfs
  mkdir -p "$ram/bin" "$ram/modules"
  cp "$tree/bin/busybox" "$ram/bin/"
  install -m 755 "$here/initramfs-init" "$ram/init"
  # Each after those that it needs.
  for module in virtio_pci virtio_blk; do
    chroot "$tree" modprobe --set-version "$kernel" --show-depends "$module"
  done | sed -n 's#^insmod \([^ ]*\).*#\1#p' | awk '!seen[$0]++' >"$base/modules"
  while read -r file; do
    cp "$tree$file" "$ram/modules/"
    basename "$file" >>"$ram/modules/order"
  done <"$base/modules"
  (cd "$ram" && find . | cpio -o -H newc) >"$base/initrd"
  rm -rf "$ram" "$tree"/boot/*
  touch "$base/complete"
} >&2
echo "$base"
