import Sandbox

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
    .held(
      .mounts, "a new /proc", "mount-type proc /tmp", "EPERM",
      control: .fresh("--mount --pid --fork", act: "mount-type proc /mnt")),
    .held(
      .mounts, "a /sys", "mount-type sysfs /tmp", "EPERM", control: .fresh("--mount", act: "mount-type sysfs /mnt")),
    .held(
      .mounts, "an overlay over /usr", "mount-type overlay /usr", "EPERM",
      control: Control.fresh("--mount", act: "mount-type overlay /mnt").unless("ENODEV", "this kernel has no overlay")),
    .held(
      .mounts, "control groups of its own", "mount-type cgroup2 /tmp", "EPERM",
      control: .fresh("--mount --cgroup", act: "mount-type cgroup2 /mnt")),
    .held(
      .mounts, "unmount /proc", "umount /proc", "EPERM",
      control: .fresh("--mount sh -c 'mount -t tmpfs none /mnt; exec \"$@\"' sh", act: "umount /mnt")),
    .held(.mounts, "share its mounts with others", "share /", "EPERM", control: aside),
    .held(
      .mounts, "move a mount the old way", "move-old /dev/pts /tmp", "EPERM",
      control: .fresh(
        "--mount sh -c 'mount -t tmpfs none /mnt; mkdir /mnt/to; exec \"$@\"' sh", act: "move-old /dev/pts /mnt/to")),
    .held(.mounts, "a file system by the new calls", "mount-new tmpfs", "EPERM"),
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
      .mounts, "statmount, which is newer than the filter's table", "statmount", "ENOSYS",
      control: Control.answers("EINVAL", "ENOENT").unless("ENOSYS", "this kernel is older than statmount")),
    .held(
      .mounts, "open_tree_attr, which is newer than the filter's table", "open_tree_attr /usr", "ENOSYS",
      control: Control().unless("ENOSYS", "this kernel is older than open_tree_attr")),
    .held(
      .mounts, "listmount, which is newer than the filter's table", "listmount", "ENOSYS",
      control: Control().unless("ENOSYS", "this kernel is older than listmount")),
  ]

  static var namespaces: [Probe] { kinds.map(own) + entered.map(enter) + changes }

  private static let kinds = ["user", "mnt", "pid", "net", "ipc", "uts", "cgroup", "time"]
  private static func own(_ kind: String) -> Probe {
    .held(
      .namespaces, "the host's \(kind) namespace", "namespace-is \(kind) {namespace-\(kind)}", "its own",
      control: .answers("the host's"))
  }

  private static let entered: [(String, String)] = [
    ("mnt", "mount"), ("pid", "pid"), ("ipc", "ipc"), ("cgroup", "cgroup"), ("time", "time"),
  ]
  private static func enter(_ file: String, _ kind: String) -> Probe {
    .held(.namespaces, "setns to its own \(kind) namespace", "setns /proc/self/ns/\(file)", "EPERM")
  }

  private static let changes: [Probe] = [
    .held(.namespaces, "unshare the host name namespace", "unshare 0x4000000", "EPERM"),
    .held(.namespaces, "unshare the ipc namespace", "unshare 0x8000000", "EPERM"),
    .held(.namespaces, "unshare the cgroup namespace", "unshare 0x2000000", "EPERM"),
    .held(.namespaces, "unshare user and network namespaces", "unshare 0x50000000", "EPERM"),
    .held(.namespaces, "clone a network namespace", "clone 0x40000000", "EPERM"),
    .held(.namespaces, "clone a pid namespace", "clone 0x20000000", "EPERM"),
    .held(.namespaces, "clone an ipc namespace", "clone 0x8000000", "EPERM"),
    .held(.namespaces, "clone a host name namespace", "clone 0x4000000", "EPERM"),
    .held(
      .namespaces, "the user namespace above its own", "parent-namespace /proc/self/ns/user", "EPERM",
      control: .acting("parent-namespace child")),
    .held(
      .namespaces, "the pid namespace above its own", "parent-namespace /proc/self/ns/pid", "EPERM",
      control: .acting("parent-namespace child")),
    .held(
      .namespaces, "user namespaces below its own", "read-text /proc/sys/user/max_user_namespaces", "0",
      control: .init(script: #"echo $(($("$@") > 0))"#, outside: ["1"])),
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
      control: .withInit()),
  ]
}
