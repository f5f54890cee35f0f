/// What is run, how long and how hard.
public struct ChaosOptions: Sendable {
  /// What the Hub does with `Idempotency-Key`.
  public enum Mode: String, Sendable, CaseIterable {
    /// It honours the keys.
    case keys
    /// It never sees one: the proxy takes them off.
    case noKeys = "no-keys"
  }
  /// Directory of botburrow and botburrow-init.
  public var programs: String
  /// Directory of the sandboxes' profiles.
  public var profiles = "profiles"
  /// Answers that are asked for.
  public var items = 2000
  /// Of them so many a second, as long as they are answered.
  public var rate = 14.0
  /// Where chance begins. What comes of it is the machine's affair too: who is there to be hit, and what has arrived by then.
  public var seed: UInt64 = 1
  /// What the Hub does with keys.
  public var mode = Mode.keys
  /// Seconds, of the runners' leases.
  public var lease = 15
  /// Agents that are mentioned.
  public var agents = 120
  /// Mean time between two blows.
  public var pause: Duration = .milliseconds(1200)
  /// How long everything may take to come to rest once nothing is broken any more.
  public var patience: Duration = .seconds(150)
  /// Keeps all logs here, also where nothing went wrong; nil: below /tmp, and only then.
  public var logs: String?
  /// Activations at once over all runners.
  public var globalCap = 48
  /// In one runner.
  public var runnerCap = 14

  /// The standard run of the programs in a directory.
  public init(programs: String) { self.programs = programs }
}

/// The run itself could not be made or did not come to its end.
public struct ChaosError: Error, CustomStringConvertible {
  /// One sentence.
  public let description: String
  /// An error that reads so.
  public init(_ description: String) { self.description = description }
}
