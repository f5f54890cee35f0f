import Sandbox

extension Probe {
  static func resources(_ profile: Profile) -> [Probe] {
    coreDumps + counts(profile) + space(profile) + groups(profile) + time
  }

  // A core_pattern that begins with '|' starts a program of the host, as root, at a crash in any sandbox: whatever the
  // limit is, but for 1 (core(5), do_coredump of the kernel).
  private static let coreDumps: [Probe] = [
    .held(
      .resources, "a core dump for the host's crash handler", "show-limit 4", "1 1",
      control: .init(script: #"ulimit -c 0; exec "$@""#, outside: ["0 0"])),
    .held(
      .resources, "a core limit of 0, which lets the crash handler in", "try-limit 4 0", "1 1", control: .answers("0 0")
    ),
    .held(.resources, "a core limit of 0 by the older call", "try-limit 4 0 old", "1 1", control: .answers("0 0")),
    .held(
      .resources, "a core limit of 0 by a number of more than 32 bits", "try-limit 0x100000004 0", "1 1",
      control: .answers("0 0")),
    .held(
      .resources, "core dumps", "try-limit 4 4096", "1 1",
      control: Control.answers("4096 4096").unless("0 0", "the hard limit of core dumps is 0 here")),
  ]

  private static let unlimited = Control(
    script: #"exec prlimit --nofile=unlimited:unlimited --nproc=unlimited --memlock=unlimited "$@""#)

  private static func counts(_ profile: Profile) -> [Probe] {
    let (files, pids) = (profile.limits.openFiles, profile.limits.pids)
    return [
      .held(
        .resources, "a higher limit of open files", "rlimit 7 \(files * 4)", "EPERM",
        control: Control().unless("EPERM", "the hard limit of open files is lower here")),
      .held(
        .resources, "a higher limit of processes", "rlimit 6 \(pids * 4)", "EPERM",
        control: Control().unless("EPERM", "the hard limit of processes is lower here")),
      .held(
        .resources, "a higher limit of a file's size", "rlimit 1 \(profile.limits.fileSize * 2)", "EPERM",
        control: Control().unless("EPERM", "the hard limit of a file's size is lower here")),
      .held(
        .resources, "a higher limit of locked memory", "rlimit 8 \(1 << 30)", "EPERM",
        control: Control().unless("EPERM", "the hard limit of locked memory is lower here")),
      .held(
        .resources, "a limit of message queues", "rlimit 12 8192", "EPERM",
        control: Control().unless("EPERM", "the hard limit of message queues is lower here")),
      .held(
        .resources, "more open files than its profile allows", "open-many \(files + 1)", "EMFILE",
        control: Control().unless("EMFILE", "the hard limit of open files is lower here")),
      .held(.resources, "more processes than its profile allows", "fork-many \(min(pids, 950) + 44)", "EAGAIN"),
      .held(.resources, "more threads than its profile allows", "thread-many \(pids + 44)", "EAGAIN"),
      .held(
        .resources, "a fork bomb", "fork-bomb \(pids + 44)", "EAGAIN",
        control: .fresh("--pid --fork")),
      .held(.resources, "memory that can't be swapped", "mlock", "ENOMEM", "EPERM"),
      .held(.resources, "no page of its own that can be swapped", "mlockall", "ENOMEM", "EPERM"),
      .held(
        .resources, "arguments of 3 MiB", "large-start 3", "E2BIG",
        control: .init(script: #"ulimit -s unlimited; exec "$@""#)),
      .held(
        .resources, "variables of 3 MiB", "large-start 3 environment", "E2BIG",
        control: .init(script: #"ulimit -s unlimited; exec "$@""#)),
      .held(
        .resources, "a pipe of 16 MiB", "large-pipe \(16 << 20)", "EPERM",
        control: Control().unless("EPERM", "this machine's root has no CAP_SYS_RESOURCE")),
    ]
  }

  /// Nothing that can be written has no end.
  private static func space(_ profile: Profile) -> [Probe] {
    let whole = profile.limits.fileSize >> 20
    let places =
      profile.scratch.map { (path: $0.path, size: $0.size, inodes: $0.inodes) }
      + [(path: "/run/agent/out", size: 64 << 20, inodes: 4096)]
    let filled: [Probe] = places.map { place in
      // A file may not be larger than one limit, nor than what is left of its file system.
      held(
        .resources, "more bytes in \(place.path) than its profile allows",
        "fill \(place.path) \(place.size >> 20 + 1)", place.size >> 20 >= whole ? "EFBIG" : "ENOSPC",
        control: Control.acting("fill /var/tmp \(place.size >> 20 + 1)").unless("ENOSPC", "the host has no room"))
    }
    let many: [Probe] = places.filter { $0.inodes <= 20000 }.map { place in
      held(
        .resources, "more files in \(place.path) than its profile allows",
        "many-files \(place.path) \(place.inodes + 16)", "ENOSPC",
        control: .inMemory("many-files /mnt \(place.inodes + 16)"))
    }
    let largest = places.max { $0.size < $1.size }?.path ?? "/run/agent/out"
    return filled + many + [
      held(
        .resources, "a larger file than its profile allows", "fill \(largest) \(whole + 1)", "EFBIG", "ENOSPC",
        control: Control.acting("fill /var/tmp \(whole + 1)").unless("ENOSPC", "the host has no room"))
    ]
  }

  /// What only control groups hold. The request asks for less than any profile gives, so that the host feels little of it.
  private static func groups(_ profile: Profile) -> [Probe] {
    // Large enough that memory is the limit.
    let roomy = profile.scratch.first { $0.size > 60 << 20 }?.path ?? "/run/agent/out"
    return [
      .held(.resources, "more memory than it was given", "eat-memory 96", "out of memory").with {
        $0.control = Control(outside: ["ok"])
        $0.witness = .end
        $0.limits.memoryBytes = 48 << 20
        $0.needs = "memory"
      },
      .held(
        .resources, "more memory than it was given, as files", "eat-files \(roomy) 60", "out of memory",
        control: .acting("eat-files /dev/shm 60")
      ).with {
        $0.witness = .end
        $0.limits.memoryBytes = 32 << 20
        $0.needs = "memory"
      },
      .held(
        .resources, "more processors than it was given", "spin 800", "what it was given",
        control: Control.answers("as much as it likes")
      ).with {
        $0.limits.cpus = 0.25
        $0.needs = "cpus"
        $0.isAlone = true
      },
      .held(.resources, "more processes than it was given", "fork-many 60", "EAGAIN").with {
        $0.limits.pids = 32
      },
    ]
  }

  private static let time: [Probe] = [
    .held(
      .resources, "more time than it was given", "stay 3", "timeout",
      control: .answers("ok")
    ).with {
      $0.witness = .end
      $0.limits.timeoutSeconds = 0.7
    },
    .held(.resources, "more output than anybody keeps", "flood 24", "cut", control: .answers("all")).with {
      $0.witness = .amount
    },
  ]
}
