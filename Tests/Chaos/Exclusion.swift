/// What supervisors wrote of their sandboxes, judged against what must never be. Pure.
public struct Exclusion: Sendable {
  /// A sandbox from the moment its program may run to the moment it is gone. Times are microseconds.
  public struct Stay: Sendable, Hashable {
    /// Whose.
    public var agent: String
    /// For which activation.
    public var activation: String
    /// At which host.
    public var host: String
    /// From.
    public var start: Int64
    /// To.
    public var end: Int64
    /// All of it.
    public init(agent: String, activation: String, host: String, start: Int64, end: Int64) {
      (self.agent, self.activation, self.host, self.start, self.end) = (agent, activation, host, start, end)
    }
  }

  /// Agents that ran twice at once.
  public static func overlaps(_ stays: [Stay]) -> [String] {
    var found: [String] = []
    for (agent, own) in Dictionary(grouping: stays, by: \.agent).sorted(by: { $0.key < $1.key }) {
      var last: Stay?
      for stay in own.sorted(by: { $0.start < $1.start }) {
        if let last, stay.start < last.end {
          let shared = min(last.end, stay.end) - stay.start
          found.append(
            "agent \(agent): \(last.activation) (\(last.host)) and \(stay.activation) (\(stay.host)) for \(shared / 1000) ms"
          )
        }
        if stay.end > last?.end ?? 0 { last = stay }
      }
    }
    return found
  }

  /// The most that ran at once.
  public static func most(_ stays: [Stay]) -> Int {
    // Of what happens in the same microsecond ends come first.
    let changes = stays.flatMap { [($0.start, 1), ($0.end, -1)] }.sorted { ($0.0, $0.1) < ($1.0, $1.1) }
    var (now, most) = (0, 0)
    for change in changes {
      now += change.1
      most = max(most, now)
    }
    return most
  }
}
