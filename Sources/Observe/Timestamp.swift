import Glibc

/// Moments as RFC 3339 with milliseconds, UTC: `2026-01-31T12:00:00.250Z`.
public enum Timestamp {
  /// Now, in microseconds since 1970, from the wall clock.
  public static func now() -> Int64 {
    var moment = timespec()
    clock_gettime(CLOCK_REALTIME, &moment)
    return Int64(moment.tv_sec) * 1_000_000 + Int64(moment.tv_nsec) / 1000
  }

  /// `microseconds` since 1970 as text.
  public static func text(_ microseconds: Int64) -> String {
    var seconds = time_t(microseconds / 1_000_000)
    var rest = microseconds % 1_000_000
    if rest < 0 {
      seconds -= 1
      rest += 1_000_000
    }
    var parts = tm()
    gmtime_r(&seconds, &parts)
    func two(_ number: Int32) -> String { number < 10 ? "0\(number)" : "\(number)" }
    let milliseconds = String(rest / 1000 + 1000).dropFirst()
    let date = "\(parts.tm_year + 1900)-\(two(parts.tm_mon + 1))-\(two(parts.tm_mday))"
    return "\(date)T\(two(parts.tm_hour)):\(two(parts.tm_min)):\(two(parts.tm_sec)).\(milliseconds)Z"
  }
}
