/// A pid namespace whose PID 1 is a shell that nobody needs.
let asideWithInit = Probe.Control(
  script: #"exec unshare --pid --fork --mount-proc sh -c '"$@"; exit' sh "$@""#)

extension Probe {
  static let files: [Probe] = [
    .held(.files, "the host's password hashes", "read /etc/shadow", "ENOENT", control: .answers("content")),
    .held(.files, "the administrator's home", "list /root", "ENOENT"),
    .held(.files, "a readable file of the host outside /usr", "read {secret}", "ENOENT", control: .answers("content")),
    .held(
      .files, "another sandbox's workspace through every /proc/N/root", "find-through-proc /workspace/marker {token}",
      "none", control: .answers("found")),
    .held(
      .files, "the supervisor's socket", "connect-unix /run/botburrow/supervisor.sock", "ENOENT",
      control: .acting("connect-unix {listener}")),
    .held(.files, "a listening socket of the host by its path", "connect-unix {listener}", "ENOENT"),
    .held(
      .files, "PID 1's root directory", "list /proc/1/root", "ENOENT", "EACCES", control: asideWithInit),
    .held(
      .files, "PID 1's environment", "read /proc/1/environ", "ENOENT", "EACCES",
      control: .init(script: asideWithInit.script, outside: ["content"])),
    .held(
      .files, "PID 1's memory", "read /proc/1/mem", "ENOENT", "EACCES",
      control: .init(script: asideWithInit.script, outside: ["EIO"])),
    .held(.files, "PID 1's descriptors", "list /proc/1/fd", "ENOENT", "EACCES", control: asideWithInit),
    .held(.files, "PID 1's working directory", "list /proc/1/cwd", "ENOENT", "EACCES", control: asideWithInit),
    .held(
      .files, "the host's init program through /proc/1/exe (CVE-2019-5736)", "write /proc/1/exe", "ENOENT", "EACCES",
      // Behind every wall stands only that a running program's file can't be written.
      control: .init(script: asideWithInit.script, outside: ["ETXTBSY"])),
    .held(
      .files, "a host process by its number", "read /proc/{stander-pid}/environ", "ENOENT",
      control: .answers("content")),
    .held(
      .files, "physical memory", "read /proc/kcore", "empty", "ENOENT",
      control: Control.answers("content").unless("ENOENT", "this kernel has no /proc/kcore")),
    .held(.files, "keys of the host", "read-keys /proc/keys", "empty", control: .answers("content")),
    .held(.files, "addresses of kernel symbols", "read /proc/kallsyms", "empty", control: .answers("content")),
    .held(
      .files, "timers of the host", "read /proc/timer_list", "empty", "ENOENT",
      control: Control.answers("content").unless("ENOENT", "this kernel has no /proc/timer_list")),
    .held(
      .files, "the host's memory map", "read /proc/iomem", "empty", control: .answers("content")),
    .held(
      .files, "devices and the host's hardware in /sys", "list /sys/devices", "ENOENT"),
    .held(.files, "control groups in /sys", "list /sys/fs/cgroup", "ENOENT"),
    .held(
      .files, "the kernel's log device", "read /dev/kmsg", "ENOENT", control: .answers("content", "EINVAL", "EAGAIN")),
    .held(.files, "a file by its handle (CVE-2014-6407's kin)", "open-by-handle /tmp", "EPERM"),
    .held(
      .files, "making a device", "mknod /tmp/null", "EPERM", "EACCES",
      control: .fresh("--mount sh -c 'mount -t tmpfs none /mnt; exec \"$@\"' sh", act: "mknod /mnt/null")),
    .held(
      .files, "a new program in /usr", "create /usr/bin/probe-new", "EROFS",
      control: .fresh("--mount sh -c 'mount -t tmpfs none /usr/src; exec \"$@\"' sh", act: "create /usr/src/probe-new")),
    .held(.files, "attributes of a program in /usr", "chmod /usr/bin/env", "EROFS"),
    .held(.files, "content of a program in /usr", "write /usr/bin/[", "EACCES", "EROFS"),
    .held(
      .files, "a new file in the root directory", "create /probe-new", "EROFS",
      control: .acting("create /var/tmp/probe-new")),
    .held(
      .files, "a new file in /etc", "create /etc/probe-new", "EROFS",
      control: .acting("create /var/tmp/probe-new")),
    .held(.files, "accounts in /etc/passwd", "write /etc/passwd", "EACCES", "EROFS"),
    .held(
      .files, "the program that the kernel runs at a crash", "write /proc/sys/kernel/core_pattern", "EACCES", "EROFS"),
    .held(
      .files, "the magic key", "write /proc/sysrq-trigger", "EACCES", "EROFS", "ENOENT",
      control: Control().unless("ENOENT", "this kernel has no magic key")),
    .held(
      .files, "settings of its own network namespace", "write /proc/sys/net/ipv4/ip_forward 1", "EACCES", "EROFS",
      control: .network("true")),
    .held(
      .files, "a writable /proc/sys", "mount-flags /proc/sys", "ro,nosuid,nodev",
      control: .answers("rw,nosuid,nodev", "rw,suid,nodev", "rw,suid,dev")),
    .held(.files, "its own user mapping", "map", "EPERM", control: .acting("map fresh")),
    .held(
      .files, "its place in the out-of-memory killer's order", "write /proc/self/oom_score_adj -900", "EACCES",
      control: Control().unless("EACCES", "this machine's root has no CAP_SYS_RESOURCE")),
    .held(
      .files, "setuid bits in /usr", "mount-flags /usr", "ro,nosuid,nodev",
      control: .answers("rw,suid,dev", "ro,suid,dev", "rw,suid,nodev", "rw,nosuid,nodev")),
    .held(
      .files, "setuid bits in its workspace", "mount-flags /workspace", "rw,nosuid,nodev",
      control: .init(act: ["mount-flags", "/"], outside: ["rw,suid,dev"])),
  ]
}
