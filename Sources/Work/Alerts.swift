import Redis

/// What of the things that are wrong is news.
public struct AlertNews: Sendable, Hashable {
  /// Something that was told earlier, and for how long it was so.
  public struct Over: Sendable, Hashable {
    /// As it was given.
    public var key: String
    /// Seconds from when it was first seen.
    public var seconds: Double
  }
  /// To be told now; sorted.
  public var begun: [String]
  /// Over now; sorted.
  public var over: [Over]
  /// News as given.
  public init(begun: [String], over: [Over]) {
    self.begun = begun
    self.over = over
  }
}

extension WorkQueue {
  /// Notes what is wrong now. Each thing comes back once when it has lasted as long as it must, and once when it is over,
  /// whichever coordinator asks: what was told is kept in Redis.
  /// - Parameter wrong: `kind:subject`, and how long it must last.
  /// - Returns: nil where another coordinator leads.
  public func noteAlerts(
    _ wrong: [(key: String, patience: Duration)], fence: Fence
  ) async throws(RedisError) -> AlertNews? {
    let reply = try await connection.script(
      Scripts.alerts,
      arguments: [RedisArgument(fence.value)]
        + wrong.flatMap { [RedisArgument($0.key), RedisArgument($0.patience.milliseconds)] })
    let fields = reply.array ?? []
    if fields.first?.string == "fenced" { return nil }
    guard fields.count == 3, let begun = fields[1].array, let over = fields[2].array else {
      throw unexpected("noteAlerts", reply)
    }
    var news = AlertNews(begun: begun.compactMap(\.string).sorted(), over: [])
    for index in stride(from: 0, to: over.count - 1, by: 2) {
      guard let key = over[index].string, let length = over[index + 1].integer else {
        throw unexpected("noteAlerts", reply)
      }
      news.over.append(AlertNews.Over(key: key, seconds: Double(length) / 1000))
    }
    news.over.sort { $0.key < $1.key }
    return news
  }
}
