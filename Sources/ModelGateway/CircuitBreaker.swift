/// Keeps a provider that is down from being asked again and again. Pure: the moment comes in.
///
/// After `threshold` failed calls in a row it is open for `rest`; then one call is let through, and its end alone decides.
struct CircuitBreaker: Sendable, Hashable {
  /// Says of a call when it was let through: what began before the breaker opened tells nothing of now.
  struct Pass: Sendable, Hashable {
    fileprivate let generation: Int
  }
  /// Whether a call may be made.
  enum Admission: Sendable, Hashable {
    /// Its end must be recorded, or forgotten, with this pass.
    case passes(Pass)
    /// Not before so long.
    case rests(Duration)
  }
  private enum State: Sendable, Hashable {
    case closed(failures: Int)
    case open(until: Duration)
    case trying(since: Duration)
  }
  let threshold: Int
  let rest: Duration
  private var state = State.closed(failures: 0)
  /// Grows whenever what is under way stops counting.
  private var generation = 0

  init(threshold: Int = 10, rest: Duration = .seconds(30)) {
    self.threshold = threshold
    self.rest = rest
  }

  /// Whether calls are turned away.
  var isOpen: Bool { if case .closed = state { false } else { true } }

  /// `now` counts from any one moment.
  mutating func admit(at now: Duration) -> Admission {
    switch state {
    case .closed: return .passes(Pass(generation: generation))
    case .open(let until) where now < until: return .rests(until - now)
    // The call that tries may never tell its end.
    case .trying(let since) where now < since + rest * 4: return .rests(.seconds(1))
    case .open, .trying:
      generation += 1
      state = .trying(since: now)
      return .passes(Pass(generation: generation))
    }
  }

  /// A call ended. What tells nothing of the provider (a client that went away) is forgotten instead.
  mutating func record(_ pass: Pass, success: Bool, at now: Duration) {
    guard pass.generation == generation else { return }
    switch state {
    case _ where success: state = .closed(failures: 0)
    case .closed(let failures) where failures + 1 < threshold: state = .closed(failures: failures + 1)
    case .closed, .trying, .open:
      generation += 1
      state = .open(until: now + rest)
    }
  }

  /// A call ended without a word about the provider: where it was the one that tries, the next one may.
  mutating func forget(_ pass: Pass, at now: Duration) {
    guard pass.generation == generation, case .trying = state else { return }
    state = .open(until: now)
  }
}
