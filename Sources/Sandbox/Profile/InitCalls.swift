/// System calls that a profile must allow whatever its program does, or no program starts or ends in it. The filter is
/// installed before the program is, so PID 1 lives under it too.
public enum InitCalls {
  /// What botburrow-init makes under the filter, as PID 1 and as the child that becomes the program (Sources/Init/Run.swift).
  public static let ofInit: [String: String] = [
    "sendto": "reports to the supervisor",
    "recvfrom": "hears its orders",
    "rt_sigprocmask": "blocks signals as PID 1, and lets them in for the program",
    "signalfd4": "learns of ended children",
    "pipe2": "learns how exec went",
    "clone": "makes the program's process",
    "close": "lets go of the program's streams and of the pipe",
    "read": "reads the pipe and the signals",
    "ppoll": "waits",
    "kill": "relays signals",
    "wait4": "reaps",
    "exit_group": "ends",
    "setsid": "gives the program a session of its own",
    "chdir": "enters the program's directory",
    "execve": "becomes the program",
    "write": "tells of an exec that failed",
  ]

  /// What the kernel or the C library makes without the program's doing, at a moment that a recording need not have seen.
  public static let ofKernel: [String: String] = [
    "restart_syscall": "the kernel's own, when a wait goes on after a stop or a freeze",
    "rt_sigreturn": "the end of every signal handler",
    "exit": "the end of a thread",
    "clock_gettime": "usually no call at all (vdso(7)), but one where the host's clock can't be read so",
    "clock_getres": "as clock_gettime",
    "gettimeofday": "as clock_gettime",
    "time": "as clock_gettime",
    "getcpu": "as clock_gettime",
  ]

  /// All of them.
  public static let always: Set<String> = Set(ofInit.keys).union(ofKernel.keys)
}
