import Linux
import Sandbox

extension SeccompPolicy {
  /// What a filter of a policy says to a call.
  package enum Verdict: Sendable, Hashable {
    /// The kernel gets it.
    case through
    /// Known, forbidden.
    case denied
    /// Newer than the filter's table.
    case unknown
    /// Known, forbidden, with an errno of its own.
    case named
    /// Answered with 0 and not done.
    case ignored
    /// The kernel asks no filter about it, and checks the caller by itself.
    case exempt
  }

  #if arch(x86_64)
    /// uretprobe and uprobe: newer kernels let them by every filter (seccomp_uprobe_exception of kernel/seccomp.c, Linux
    /// 6.13 and stable ones before), and end or refuse whoever isn't in a trampoline of theirs.
    private static let exempt: Set<UInt64> = [335, 336]
  #else
    private static let exempt: Set<UInt64> = []
  #endif

  /// RLIMIT_CORE of getrlimit(2).
  private static var core: UInt64 { 4 }

  /// What this policy means for a call by name, as arguments of 64 bits: the meaning written down a second time, without
  /// the library that compiles it. Nil is a number that has no name.
  package func verdict(_ name: String?, number: UInt64 = 0, _ arguments: [UInt64]) -> Verdict {
    guard let name else { return Self.exempt.contains(number) ? .exempt : .unknown }
    let denial: Verdict = errnos[name] == nil ? .denied : .named
    if allowed.contains(name) {
      // A program can't lower its core limit to 0, for that lets the host's crash handler in.
      if name == "setrlimit", UInt32(truncatingIfNeeded: arguments[0]) == Self.core { return .ignored }
      if name == "prlimit64", UInt32(truncatingIfNeeded: arguments[1]) == Self.core, arguments[2] != 0 {
        return .ignored
      }
      return .through
    }
    guard let condition = conditional[name] else { return denial }
    // As the kernel reads an int.
    let value = UInt32(truncatingIfNeeded: arguments[Int(condition.argument)])
    if condition.isWide, arguments[Int(condition.argument)] >> 32 != 0 { return denial }
    let passes =
      switch condition.test {
      case .oneOf(let values): values.contains(value)
      case .noneOf(let values): !values.contains(value)
      case .clear(let mask): value & mask == 0
      }
    return passes ? .through : denial
  }

  /// The errno that a denied call hears; nil for one that comes through.
  func refusal(_ name: String, _ arguments: [UInt64]) -> Int32? {
    // Rules of an OCI file aren't written down a second time here: such a profile is expected to answer as the default.
    if oci != nil { return nil }
    return switch verdict(name, arguments) {
    case .through, .ignored, .exempt: nil
    case .denied: denied
    case .unknown: unknown
    case .named: errnos[name] ?? denied
    }
  }
}

extension Probe {
  /// A system call that an act can't do without.
  struct Call {
    var name: String
    /// The arguments that a condition may look at.
    var arguments: [UInt64] = [0, 0, 0, 0, 0, 0]

    /// `socket`, or `socket 2 3 1`.
    init(_ text: String) {
      let words = Probe.words(text)
      name = words[0]
      for (index, word) in words.dropFirst().enumerated() { arguments[index] = number(word) }
    }
  }

  /// The same probe where the profile's filter denies what the act can't do without: then the filter answers, before any
  /// other wall is met.
  func answeredByFilter(of profile: Profile) -> Probe {
    guard case .output = witness else { return self }
    for call in Self.calls(act) {
      // A name of another architecture does not exist here.
      guard SeccompPolicy.number(of: call.name) != nil else { continue }
      if let code = profile.syscalls.refusal(call.name, call.arguments) {
        if call.name == "ioctl", call.arguments[1] == 0x4004_5431 { return with { $0.inside = ["no terminal"] } }
        // `EPERM (Operation not permitted)`
        return with { $0.inside = [String(errorName(code).prefix { $0 != " " })] }
      }
    }
    return self
  }

  /// What an act calls, in its order, as far as profiles differ in it or forbid it all alike.
  static func calls(_ act: [String]) -> [Call] {
    let words = Array(act.dropFirst())
    switch act[0] {
    case "socket": return [Call("socket " + words.joined(separator: " "))]
    case "socketpair": return [Call("socketpair " + words[0])]
    case "connect", "fast-open", "hear": return [Call("socket \(family(words[0]))")]
    case "udp", "broadcast", "bind-to": return [Call("socket \(family(words[0]))")]
    case "connect-protocol": return [Call("socket \(family(words[2]))")]
    case "connect-from", "send-from", "transparent", "set-network", "talk-to-itself", "through":
      return [Call("socket 2")]
    case "setsockopt": return [Call("socket \(words[0] == "41" ? 10 : 2)")]
    case "connect-unix": return [Call("socket 1")]
    case "fork", "fork-many", "fork-bomb", "outlive", "thread-many", "threads": return [Call("clone 0x11")]
    // Before it comes to the request, a terminal must be had.
    case "terminal", "steal-terminal": return [Call("ioctl 0 0x40045431"), Call("ioctl 0 \(words.first ?? "0x540e")")]
    case "ask": return [Call(questions[words[0]] ?? words[0])]
    case "try-limit", "show-limit", "rlimit": return [Call("prlimit64 0 0 \(act[0] == "rlimit" ? 1 : 0)")]
    case "clone": return [Call("clone \(words[0])")]
    // Others than its own can't be opened in the first place.
    case "setns": return words[0].hasPrefix("/proc/self/") ? [Call("setns")] : []
    case "personality": return [Call("personality \(words[0])")]
    default: return namedCalls[act[0]].map { [Call($0)] } ?? []
    }
  }

  /// The questions of `ask` that have another name than their call.
  private static let questions = ["kill-group": "kill", "own-signals": "fcntl", "prlimit": "prlimit64"]

  private static func family(_ address: String) -> Int { address.contains(":") ? 10 : 2 }

  /// Acts that are one call.
  private static let namedCalls: [String: String] = [
    "mount": "mount", "mount-type": "mount", "bind": "mount", "remount": "mount", "share": "mount", "move-old": "mount",
    "umount": "umount2", "chroot": "chroot", "pivot_root": "pivot_root", "open_tree": "open_tree", "fsopen": "fsopen",
    "mount-new": "fsopen", "fspick": "fspick", "move_mount": "open_tree", "mount_setattr": "mount_setattr",
    "unshare": "unshare", "clone3": "clone3", "open-by-handle": "name_to_handle_at",
    "ptrace-attach": "ptrace", "ptrace-seize": "ptrace", "ptrace-traceme": "ptrace",
    "process_vm_readv": "process_vm_readv", "process_vm_writev": "process_vm_writev", "kcmp": "kcmp",
    "process_mrelease": "process_mrelease", "add_key": "add_key", "keyctl": "keyctl", "bpf": "bpf",
    "perf_event_open": "perf_event_open", "userfaultfd": "userfaultfd", "io_uring_setup": "io_uring_setup",
    "kexec_load": "kexec_load", "kexec_file_load": "kexec_file_load", "init_module": "init_module",
    "finit_module": "finit_module", "delete_module": "delete_module", "reboot": "reboot",
    "settimeofday": "settimeofday", "clock_settime": "clock_settime", "clock_adjtime": "clock_adjtime",
    "adjtimex": "adjtimex", "sethostname": "sethostname", "setdomainname": "setdomainname", "quotactl": "quotactl",
    "quotactl_fd": "quotactl_fd", "swapon": "swapon", "swapoff": "swapoff", "acct": "acct", "syslog": "syslog",
    "fanotify_init": "fanotify_init", "migrate_pages": "migrate_pages", "memfd_secret": "memfd_secret",
    "mq_open": "mq_open", "lookup_dcookie": "lookup_dcookie", "set_mempolicy_home_node": "set_mempolicy_home_node",
    "vhangup": "vhangup", "ioperm": "ioperm", "iopl": "iopl", "modify_ldt": "modify_ldt", "setuid": "setuid",
    "setgid": "setgid", "setresuid": "setresuid", "setresgid": "setresgid", "setreuid": "setreuid",
    "setregid": "setregid", "setgroups": "setgroups", "capset": "capset", "setpriority": "setpriority",
    "sched_setscheduler": "sched_setscheduler", "sched_setattr": "sched_setattr", "ioprio_set": "ioprio_set",
    "mlock": "mlock", "mlockall": "mlockall", "shared-memory": "shmget", "huge-pages": "shmget",
    "alarm-timer": "timer_create", "mknod": "mknodat", "link": "linkat", "attribute": "fsetxattr",
    "truncate": "truncate", "set-times": "utimensat", "chmod": "fchmodat", "give-away": "fchown",
    "through-link": "symlinkat", "bounding": "prctl", "new_privs": "prctl",
    "keepcaps": "prctl", "no_new_privs": "prctl", "seccomp-mode": "prctl", "securebits": "prctl", "ambient": "prctl",
    "setfsuid": "setfsuid", "standing": "sched_getscheduler", "tgkill": "tgkill", "kill": "kill",
    "rt_sigqueueinfo": "rt_sigqueueinfo", "pidfd_send_signal": "pidfd_open", "pidfd_getfd": "pidfd_getfd",
    "process_madvise": "process_madvise", "setns-pidfd": "setns", "rename": "renameat", "mkdir": "mkdirat",
  ]
}

/// Decimal or 0x….
func number(_ text: String) -> UInt64 {
  (text.hasPrefix("0x") ? UInt64(text.dropFirst(2), radix: 16) : UInt64(text)) ?? 0
}
