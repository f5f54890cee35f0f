/// Chance that can be had again (SplitMix64).
package struct SeededChance: RandomNumberGenerator, Sendable {
  private var state: UInt64

  /// Begins at a number.
  package init(seed: UInt64) { state = seed }

  /// The next 64 bits.
  package mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
    return mixed ^ (mixed >> 31)
  }

  /// From 0 to 1.
  package mutating func share() -> Double { Double(next() >> 11) / Double(1 << 53) }

  /// A UUID (version 4) of this chance.
  package mutating func uuid() -> String {
    let (high, low) = (next(), next())
    func digits(_ value: UInt64, _ count: Int) -> String {
      let text = String(value, radix: 16)
      return String(String(repeating: "0", count: 16) + text).suffix(count).lowercased()
    }
    return
      "\(digits(high >> 32, 8))-\(digits(high >> 16, 4))-4\(digits(high, 3))-a\(digits(low >> 48, 3))-\(digits(low, 12))"
  }

  /// One of these, each as often as its weight says.
  package mutating func one<Value>(of choices: [(Value, Int)]) -> Value? {
    var place = Int(next() % UInt64(max(1, choices.reduce(0) { $0 + $1.1 })))
    for (value, weight) in choices {
      if place < weight { return value }
      place -= weight
    }
    return choices.last?.0
  }
}
