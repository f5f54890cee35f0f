/// A file system in memory that nobody needs.
private let asideInMemory = #"unshare --mount sh -c 'mount -t tmpfs none /mnt; : >/mnt/disk; exec "$@"' sh "$@""#

extension Probe {
  static let limits: [Probe] = [
    // A core_pattern that begins with '|' starts a program of the host, as root, at a crash in any sandbox: whatever the
    // limit is, but for 1 (core(5), do_coredump of the kernel).
    .held(
      .limits, "a core dump for the host's crash handler", "show-limit 4", "1 1",
      control: .init(script: #"ulimit -c 0; exec "$@""#, outside: ["0 0"])),
    .held(
      .limits, "a core limit of 0, which lets the crash handler in", "try-limit 4 0", "1 1", control: .answers("0 0")),
    .held(.limits, "a core limit of 0 by the older call", "try-limit 4 0 old", "1 1", control: .answers("0 0")),
    .held(
      .limits, "a core limit of 0 by a number of more than 32 bits", "try-limit 0x100000004 0", "1 1",
      control: .answers("0 0")),
    .held(
      .limits, "core dumps", "try-limit 4 4096", "1 1",
      control: Control.answers("4096 4096").unless("0 0", "the hard limit of core dumps is 0 here")),
    .held(
      .limits, "more open files than its profile allows", "rlimit 7 4096", "EPERM",
      control: Control().unless("EPERM", "the hard limit of open files is lower here")),
    .held(.limits, "more processes than its profile allows", "fork-many 300", "EAGAIN"),
    .held(
      .limits, "more bytes in /tmp than its profile allows", "fill /tmp 65", "ENOSPC",
      control: .acting("fill /var/tmp 65")),
    .held(
      .limits, "more bytes in /dev/shm than its profile allows", "fill /dev/shm 65", "ENOSPC",
      control: .acting("fill /var/tmp 65")),
    .held(
      .limits, "more bytes as a result than there is room", "fill /run/agent/out 65", "ENOSPC",
      control: .acting("fill /var/tmp 65")),
    .held(
      .limits, "a larger file than its profile allows", "fill /workspace 257", "EFBIG", "ENOSPC",
      control: .acting("fill /var/tmp 257")),
    .held(
      .limits, "more files in /tmp than its profile allows", "many-files /tmp 16400", "ENOSPC",
      control: .init(script: asideInMemory, act: ["many-files", "/mnt", "16400"])),
    .held(
      .limits, "further devices", "names /dev", "fd full null ptmx pts random shm stderr stdin stdout tty urandom zero",
      control: .init(script: asideInMemory, act: ["names", "/mnt"], outside: ["disk"])),
    .held(
      .limits, "memory that can't be swapped", "mlock", "ENOMEM", "EPERM"),
  ]
}
