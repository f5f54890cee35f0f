/// Keeps a provider that is down from being asked again and again. Pure: the moment comes in.
///
/// After `threshold` failed calls in a row it is open for `rest`; then one call is let through, and its end decides.
struct CircuitBreaker: Sendable, Hashable {
  private enum State: Sendable, Hashable {
    case closed(failures: Int)
    case open(until: Duration)
    case trying(since: Duration)
  }
  let threshold: Int
  let rest: Duration
  private var state = State.closed(failures: 0)

  init(threshold: Int = 10, rest: Duration = .seconds(30)) {
    self.threshold = threshold
    self.rest = rest
  }

  /// Whether calls are turned away.
  var isOpen: Bool { if case .closed = state { false } else { true } }

  /// Nil where a call may be made; otherwise how long to wait. `now` counts from any one moment.
  mutating func admit(at now: Duration) -> Duration? {
    switch state {
    case .closed: return nil
    case .open(let until) where now >= until:
      state = .trying(since: now)
      return nil
    case .open(let until): return until - now
    // The call that tries may never tell its end.
    case .trying(let since) where now >= since + rest * 4:
      state = .trying(since: now)
      return nil
    case .trying: return .seconds(1)
    }
  }

  /// A call ended. What tells nothing of the provider (a client that went away) is not recorded.
  mutating func record(success: Bool, at now: Duration) {
    if success {
      state = .closed(failures: 0)
      return
    }
    switch state {
    case .closed(let failures) where failures + 1 < threshold: state = .closed(failures: failures + 1)
    case .closed, .trying: state = .open(until: now + rest)
    // A call that began before: it tells nothing new, and must not prolong the rest.
    case .open: break
    }
  }

  /// A call that was admitted ended without a word about the provider.
  mutating func forget(at now: Duration) {
    if case .trying = state { state = .open(until: now) }
  }
}
