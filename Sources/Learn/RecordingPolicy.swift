import Linux
import Sandbox

/// What a recording run answers to a call. Whatever every profile should deny is denied here too, as the sandbox would do it:
/// most programs know another way, and the recording must see that one. Everything else is let through and written down.
public struct RecordingPolicy: Sendable {
  let base: SeccompPolicy
  private let admitsOthers: Bool
  private let names: [Int32: String]

  /// Over the system calls of the base profile; `admitsOthers`: whether calls pass that the base lacks and others might have.
  public init(base: SeccompPolicy, admitsOthers: Bool = true) {
    self.base = base
    self.admitsOthers = admitsOthers
    names = Dictionary(SeccompPolicy.known.map { ($1, $0) }) { first, _ in first }
  }

  /// What happens to a call.
  public enum Verdict: Sendable, Hashable {
    case carryOn
    case refuse(Int32)
  }

  /// The call's name; nil where libseccomp doesn't know the number, for which every profile has one answer.
  public func name(_ number: Int32) -> String? { names[number] }

  /// Decides by name and arguments.
  public func verdict(_ name: String, _ arguments: [UInt64]) -> Verdict {
    if base.allowed.contains(name) { return .carryOn }
    if let condition = base.conditional[name] {
      return condition.passes(arguments) ? .carryOn : .refuse(base.denied)
    }
    if let code = base.errnos[name] { return .refuse(code) }
    return !admitsOthers || Self.neverAdded.contains(name) ? .refuse(base.denied) : .carryOn
  }

  /// Calls that no profile should allow (docs/profiles.md): ways out, and what only an administrator needs. Whoever wants one
  /// all the same writes it into the profile by hand.
  public static let neverAdded: Set<String> = [
    // Mounts and namespaces.
    "chroot", "fsconfig", "fsmount", "fsopen", "fspick", "mount", "mount_setattr", "move_mount", "open_tree",
    "pivot_root",
    "setns", "umount2", "unshare",
    // Other processes' memory and descriptors.
    "kcmp", "pidfd_getfd", "process_madvise", "process_vm_readv", "process_vm_writev", "ptrace",
    // Much kernel behind one call.
    "bpf", "clone3", "io_uring_enter", "io_uring_register", "io_uring_setup", "perf_event_open", "userfaultfd",
    "vmsplice",
    // Keys.
    "add_key", "keyctl", "request_key",
    // Files past their names.
    "fanotify_init", "name_to_handle_at", "open_by_handle_at", "lookup_dcookie",
    // The machine.
    "acct", "adjtimex", "clock_adjtime", "clock_settime", "create_module", "delete_module", "finit_module",
    "init_module",
    "ioperm", "iopl", "kexec_file_load", "kexec_load", "migrate_pages", "move_pages", "nfsservctl", "quotactl",
    "quotactl_fd", "reboot", "setdomainname", "sethostname", "settimeofday", "swapoff", "swapon", "syslog", "vhangup",
  ]
}

extension SeccompPolicy.Condition {
  /// The low 32 bits of its argument.
  func value(of arguments: [UInt64]) -> UInt32 {
    UInt32(truncatingIfNeeded: arguments[Int(argument)])
  }
  /// As the compiled filter decides it.
  func passes(_ arguments: [UInt64]) -> Bool {
    test.passes(value(of: arguments)) && (!isWide || arguments[Int(argument)] <= UInt64(UInt32.max))
  }
}

extension SeccompPolicy.Condition.Test {
  /// Whether a value passes, as the compiled filter decides it.
  func passes(_ value: UInt32) -> Bool {
    switch self {
    case .oneOf(let values): values.contains(value)
    case .noneOf(let values): !values.contains(value)
    case .clear(let mask): value & mask == 0
    }
  }
}
