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

/// Chance that can be had again (SplitMix64).
public struct SeededChance: RandomNumberGenerator, Sendable {
  private var state: UInt64

  /// Begins at a number.
  public init(seed: UInt64) { state = seed }

  /// The next 64 bits.
  public mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
    return mixed ^ (mixed >> 31)
  }

  /// From 0 to 1.
  public mutating func share() -> Double { Double(next() >> 11) / Double(1 << 53) }

  /// A UUID (version 4) of this chance.
  public mutating func uuid() -> String {
    let (high, low) = (next(), next())
    func digits(_ value: UInt64, _ count: Int) -> String {
      let text = String(value, radix: 16)
      return String(String(repeating: "0", count: 16) + text).suffix(count).lowercased()
    }
    return
      "\(digits(high >> 32, 8))-\(digits(high >> 16, 4))-4\(digits(high, 3))-a\(digits(low >> 48, 3))-\(digits(low, 12))"
  }

  /// One of these, each as often as its weight says.
  public mutating func one<Value>(of choices: [(Value, Int)]) -> Value? {
    var place = Int(next() % UInt64(max(1, choices.reduce(0) { $0 + $1.1 })))
    for (value, weight) in choices {
      if place < weight { return value }
      place -= weight
    }
    return choices.last?.0
  }
}
