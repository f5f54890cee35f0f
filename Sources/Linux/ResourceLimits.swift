import CLinux
import Glibc

/// One of a process's limits (getrlimit(2)), in the unit of the resource; `UInt64.max` is none.
public struct ResourceLimits: Sendable, Hashable {
  /// What is enforced.
  public var soft: UInt64
  /// How far the process may raise it.
  public var hard: UInt64

  /// Puts both together.
  public init(soft: UInt64, hard: UInt64) {
    self.soft = soft
    self.hard = hard
  }

  /// As the kernel has it for a living process (prlimit(2)).
  public static func read(_ resource: Int, pid: pid_t) throws(LinuxError) -> ResourceLimits {
    var (soft, hard): (UInt64, UInt64) = (0, 0)
    try check(cl_get_limit(pid, Int32(resource), &soft, &hard), "prlimit \(resource)", "pid \(pid)")
    return ResourceLimits(soft: soft, hard: hard)
  }
}
