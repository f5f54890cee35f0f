#!/bin/bash
# install.sh RELEASE-DIRECTORY [DESTDIR] PREFIX: puts programs, profiles, units and examples in their places.
set -euo pipefail
release=$1
if [ $# -eq 3 ]; then destination=$2 prefix=$3; else destination= prefix=$2; fi
cd "$(dirname "$0")/.."
install -D -m 755 -s "$release/botburrow" "$destination$prefix/bin/botburrow"
install -D -m 755 "$release/botburrow-init" "$destination$prefix/libexec/botburrow/botburrow-init"
install -D -m 755 -s "$release/botburrow-agent" "$destination$prefix/libexec/botburrow/botburrow-agent"
for profile in profiles/*.yaml; do
  install -D -m 644 "$profile" "$destination/etc/botburrow/profiles/$(basename "$profile")"
done
# A configuration that is there is the operator's.
if [ -e "$destination/etc/botburrow/coordinator.yaml" ]; then
  install -D -m 644 config/coordinator.yaml "$destination/etc/botburrow/coordinator.yaml.new"
else
  install -D -m 644 config/coordinator.yaml "$destination/etc/botburrow/coordinator.yaml"
fi
# The operator's word on tool servers, in the same way.
for file in mcp-servers.yaml permissions.yaml; do
  place=$destination/etc/botburrow/$file
  if [ -e "$place" ]; then place=$place.new; fi
  install -D -m 644 "config/$file" "$place"
done
install -d -m 750 "$destination/etc/botburrow/secrets"
for unit in systemd/*.service systemd/*.socket; do
  [ -e "$unit" ] || continue
  install -D -m 644 "$unit" "$destination/etc/systemd/system/$(basename "$unit")"
  # Units name the usual place.
  sed -i "s#/usr/local/bin/#$prefix/bin/#" "$destination/etc/systemd/system/$(basename "$unit")"
done
[ -e systemd/sysusers.conf ] && install -D -m 644 systemd/sysusers.conf "$destination/usr/lib/sysusers.d/botburrow.conf"
[ -e systemd/tmpfiles.conf ] && install -D -m 644 systemd/tmpfiles.conf "$destination/usr/lib/tmpfiles.d/botburrow.conf"
echo "installed under $destination$prefix and $destination/etc/botburrow; next: systemd-sysusers, systemd-tmpfiles --create, systemctl daemon-reload"
