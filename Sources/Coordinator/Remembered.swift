/// What is known of some agents, each for a while: a million may pass, few are met twice meanwhile.
struct Remembered<Value> {
  private var entries: [String: (value: Value, until: ContinuousClock.Instant)] = [:]
  /// Agents at once.
  private static var limit: Int { 1000 }

  /// What is believed of an agent now; nil where nothing is, any more.
  func fresh(_ id: String, at now: ContinuousClock.Instant) -> Value? {
    guard let entry = entries[id], now < entry.until else { return nil }
    return entry.value
  }

  /// What was last known, however long ago, as far as there was room to keep it.
  func last(_ id: String) -> Value? { entries[id]?.value }

  /// Believes what is known of an agent, or of all, no more; it stays what was last known.
  mutating func doubt(_ id: String?, at now: ContinuousClock.Instant) {
    for id in id.map({ [$0] }) ?? Array(entries.keys) { entries[id]?.until = now }
  }

  /// Believes something of an agent until then.
  mutating func keep(_ value: Value, _ id: String, until: ContinuousClock.Instant) {
    if entries.count >= Self.limit, entries[id] == nil {
      // Half at once, those that would be asked for again soonest: cheap for each.
      for old in entries.sorted(by: { $0.value.until < $1.value.until }).prefix(Self.limit / 2) {
        entries[old.key] = nil
      }
    }
    entries[id] = (value, until)
  }
}
