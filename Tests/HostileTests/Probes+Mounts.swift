/// A mount namespace of its own, so that the host's mounts stay.
private let aside = Probe.Control.fresh("--mount")

extension Probe {
  static let mounts: [Probe] = [
    .held(.mounts, "mount", "mount /tmp", "EPERM", control: aside),
    .held(.mounts, "bind mount", "bind /usr /tmp", "EPERM", control: aside),
    .held(
      .mounts, "make /usr writable by remounting", "remount /usr", "EPERM",
      control: .fresh("--mount sh -c 'mount --bind /usr /usr; exec \"$@\"' sh")),
    .held(
      .mounts, "unmount what hides /proc/kallsyms", "umount /proc/kallsyms", "EPERM",
      control: .fresh("--mount sh -c 'mount --bind /dev/null /proc/kallsyms; exec \"$@\"' sh")),
    .held(
      .mounts, "pivot_root", "pivot_root /tmp", "EPERM",
      control: .fresh("--mount sh -c 'mount -t tmpfs none /mnt; exec \"$@\"' sh", act: "pivot_root /mnt")),
    .held(.mounts, "chroot", "chroot /tmp", "EPERM"),
    .held(.mounts, "open_tree", "open_tree /tmp", "EPERM"),
    .held(
      .mounts, "move_mount", "move_mount /usr /tmp", "EPERM", control: aside),
    .held(.mounts, "fsopen", "fsopen tmpfs", "EPERM"),
    .held(
      .mounts, "fspick", "fspick /tmp", "EPERM",
      control: .fresh("--mount sh -c 'mount -t tmpfs none /mnt; exec \"$@\"' sh", act: "fspick /mnt")),
    .held(
      .mounts, "mount_setattr", "mount_setattr /usr", "EPERM",
      control: .fresh("--mount sh -c 'mount --bind /usr /usr; exec \"$@\"' sh")),
    .held(
      .mounts, "listmount, which is newer than the filter's table", "listmount", "ENOSYS",
      control: Control().unless("ENOSYS", "this kernel is older than listmount")),
  ]

  static let namespaces: [Probe] = [
    .held(.namespaces, "unshare the user namespace", "unshare 0x10000000", "EPERM"),
    .held(.namespaces, "unshare the mount namespace", "unshare 0x20000", "EPERM"),
    .held(.namespaces, "unshare the network namespace", "unshare 0x40000000", "EPERM"),
    .held(.namespaces, "unshare the pid namespace", "unshare 0x20000000", "EPERM"),
    .held(.namespaces, "unshare the time namespace", "unshare 0x80", "EPERM"),
    .held(.namespaces, "clone a user namespace", "clone 0x10000000", "EPERM"),
    .held(.namespaces, "clone user and mount namespaces", "clone 0x10020000", "EPERM"),
    .held(.namespaces, "clone a cgroup namespace", "clone 0x02000000", "EPERM"),
    .held(.namespaces, "clone3 a user namespace", "clone3 0x10000000", "ENOSYS"),
    .held(.namespaces, "clone3 without a namespace", "clone3 0", "ENOSYS"),
    .held(
      .namespaces, "setns to its own user namespace", "setns /proc/self/ns/user", "EPERM",
      // One's own can't be entered again: only whoever is past the filter hears that.
      control: .answers("EINVAL")),
    .held(.namespaces, "setns to its own host name namespace", "setns /proc/self/ns/uts", "EPERM"),
    .held(.namespaces, "setns to its own network namespace", "setns /proc/self/ns/net", "EPERM"),
    .held(.namespaces, "setns through a pidfd", "setns-pidfd 0x4000000", "EPERM"),
    .held(
      .namespaces, "setns to the namespaces of PID 1", "setns /proc/1/ns/uts", "ENOENT", "EACCES", "EPERM",
      control: asideWithInit),
  ]
}
