import Sandbox

extension Probe {
  static func leaks(_ profile: Profile) -> [Probe] {
    let environment = Set(profile.environment.keys).sorted().joined(separator: " ")
    let home = profile.environment["HOME"] ?? "/"
    return descriptors + known + [
      .held(
        .leaks, "a working directory outside the root", "working-directory", home,
        control: .init(script: #"cd /etc; exec "$@""#, outside: ["/etc"])),
      .held(
        .leaks, "the supervisor's environment", "environment", environment.isEmpty ? "none" : environment,
        control: .init(script: #"exec env -u PWD -u OLDPWD -u _ "$@""#, outside: ["HOSTILE_SECRET PATH"])),
    ]
      + profile.scratch.map { scratch in
        .held(
          .leaks, "what others left in \(scratch.path)", "any-in \(scratch.path)", "nothing",
          control: .init(act: ["any-in", "/var/tmp"], outside: ["something"]))
      }
  }

  private static let descriptors: [Probe] = [
    .held(.leaks, "reading from its output", "open /proc/self/fd/1", "EACCES"),
    .held(
      .leaks, "writing to its input", "write /proc/self/fd/0 x", "EPERM", "EACCES"),
    .held(
      .leaks, "an open descriptor besides 0, 1, 2", "descriptors any 4096", "0 1 2",
      // The tests' own process may hold more, above these.
      control: .init(
        script: #"exec 3</etc 4<&- 5<&- 6<&- 7<&- 8<&- 9<&-; exec "$@""#, act: ["descriptors", "any", "10"],
        outside: ["0 1 2 3"])),
    .held(
      .leaks, "an open directory (CVE-2024-21626)", "descriptors directory 4096", "none",
      control: .init(script: #"exec 3</etc; exec "$@""#, act: ["descriptors", "directory", "10"], outside: ["3"])),
  ]

  private static let known: [Probe] = [
    .held(.leaks, "an abstract socket of the host", "connect-unix @{token}", "ECONNREFUSED"),
    .held(
      .leaks, "an abstract socket of another sandbox", "connect-unix @{token}-neighbour", "ECONNREFUSED",
      control: .neighbour()),
    .held(.leaks, "memory that the host shares", "shared-memory {shared}", "ENOENT"),
    .held(.leaks, "the host's name", "host-name {host-name}", "its own", control: .answers("the host's")),
    .held(
      .leaks, "the host's name in /proc", "contains /proc/sys/kernel/hostname {host-name}", "none",
      control: .answers("found")),
    .held(
      .leaks, "the host's name in /etc/hostname", "contains /etc/hostname {host-name}", "none",
      control: Control.answers("found").unless("ENOENT", "the host has no /etc/hostname").unless(
        "none", "the host's /etc/hostname is another")),
    .held(
      .leaks, "its place among control groups", "group-path", "/",
      control: Control.answers("its place").unless("/", "the suite itself runs in the root group")),
    .held(
      .leaks, "signals that its starter ignores", "signal-state", "clean",
      control: .init(script: #"trap '' USR1; exec "$@""#, outside: ["inherited"])),
    .held(
      .leaks, "priorities of its starter", "standing", "0 0 0",
      control: .init(script: #"exec nice -n 5 "$@""#, outside: ["5 0 0"])),
    .held(.leaks, "a parent besides PID 1", "parent", "PID 1", control: .answers("another")),
    .held(
      .leaks, "the mask of its starter's files", "file-mask", "022",
      control: .init(script: #"umask 077; exec "$@""#, outside: ["077"])),
    .held(
      .leaks, "the host's command line", "any-in /proc/self/task/1", "ENOENT",
      control: .withInit("any-in /proc/1/task/1", answers: "something")),
  ]
}
