import Synchronization

/// How many runners there are, and with it how often each looks for what any of them may do: up to ten together about as often as
/// one alone, so that an idle system asks Redis for little.
final class Fleet: Sendable {
  /// A share at most, however many others there are: they may have died a moment ago.
  static let rarest = Duration.seconds(10)
  private let runners = Mutex(1)

  /// As the list of runners has it: with those that are about to stop, and with one that died for half a minute at most.
  func note(runners count: Int) { runners.withLock { $0 = max(1, count) } }

  /// How long one waits until it looks again where all together are to look every `interval`. Chance decides, or those that began
  /// together would look together, and then none for long.
  /// - Parameter longest: in shares; the shortest is half of one.
  func pause(_ interval: Duration, longest: Double, chance: Double = .random(in: 0...1)) -> Duration {
    let runners = runners.withLock { $0 }
    guard runners > 1 else { return interval }
    return max(interval, min(interval * runners, Self.rarest) * (0.5 + chance * (longest - 0.5)))
  }
}
