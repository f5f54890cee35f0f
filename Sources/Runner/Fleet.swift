import Synchronization

/// How many runners there are, and with it how often each looks for what any of them may do: together about as often as one
/// alone, so that an idle system asks Redis for little however many runners it has.
final class Fleet: Sendable {
  /// However many others there are: they may have died a moment ago.
  static let rarest = Duration.seconds(10)
  private let runners = Mutex(1)

  /// As the list of runners has it, which lags behind by up to `WorkQueue.Options.runnerExpiry`.
  func note(runners count: Int) { runners.withLock { $0 = max(1, count) } }

  /// How often one looks where the fleet is to look every `interval`.
  func share(of interval: Duration) -> Duration {
    let alone = runners.withLock { interval * $0 }
    return max(interval, min(alone, Self.rarest))
  }
}
