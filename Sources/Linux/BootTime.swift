import Glibc

/// A moment by CLOCK_BOOTTIME (clock_gettime(2)): the same for every process of a host that is in no time namespace of its
/// own, never set, and going on while the host sleeps.
public struct BootTime: Sendable, Hashable, Comparable {
  /// Since the host was booted.
  public var nanoseconds: Int64
  /// Makes one.
  public init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }

  /// This moment.
  public static var now: BootTime {
    var time = timespec()
    clock_gettime(CLOCK_BOOTTIME, &time)
    return BootTime(nanoseconds: Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec))
  }

  /// A moment so much later; the last there is, where that is beyond it.
  public func advanced(by duration: Duration) -> BootTime {
    let (seconds, attoseconds) = duration.components
    let (scaled, tooFar) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
    let (sum, beyond) = nanoseconds.addingReportingOverflow(scaled + attoseconds / 1_000_000_000)
    return BootTime(nanoseconds: tooFar || beyond ? (seconds < 0 ? .min : .max) : sum)
  }

  /// How long it is from here to there; negative where that is past.
  public func duration(to other: BootTime) -> Duration {
    let (difference, tooFar) = other.nanoseconds.subtractingReportingOverflow(nanoseconds)
    return .nanoseconds(tooFar ? (other > self ? .max : .min) : difference)
  }

  /// Which is earlier.
  public static func < (left: BootTime, right: BootTime) -> Bool { left.nanoseconds < right.nanoseconds }
}
