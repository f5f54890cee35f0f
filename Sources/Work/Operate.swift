import Redis

/// Where an item is.
public enum WorkState: String, Sendable, Hashable, CaseIterable {
  /// In its pool's list.
  case queued
  /// A runner has it.
  case leased
  /// Waits for its next attempt.
  case retry
  /// Waits for its agent.
  case parked
  /// Part of another's activation, with which it ends.
  case merged
  /// Over for its agent; the Hub has not taken what it was to be told.
  case outbox
  /// Among the dead letters.
  case dead
  /// Over, within the last day.
  case done
}

/// One item, as an operator sees it.
public struct WorkEntry: Sendable, Hashable {
  /// The activation's id; empty where the item carries none and was never claimed.
  public var id: String
  /// Where it is.
  public var state: WorkState
  /// The bytes as they came; empty for one that is done.
  public var raw: [UInt8]
  /// Its list; nil for one that is done or in the outbox.
  public var pool: Pool?
  /// Empty where the bytes can't be read.
  public var agentID: String
  /// Attempts that were made.
  public var attempt: Int
  /// Who has it; empty unless it is leased.
  public var runner: String
  /// Why the last attempt failed; empty where none did.
  public var reason: String
  /// Seconds since 1970, and nil where unknown. In a list of entries: the lease's end, the next attempt, when it was parked. In
  /// `entry(_:)`: when it was claimed, buried or done, or the next attempt.
  public var time: Double?
  /// The attempts that failed, the oldest first; in `entry(_:)` only, and at most the last 20.
  public var history: [FailedAttempt] = []
  /// Ids of the items that are done with it, or, where it is merged itself, of the one that it is done with; in `entry(_:)` only.
  public var merged: [String] = []
}

/// One attempt that failed.
public struct FailedAttempt: Sendable, Hashable {
  /// Seconds since 1970; nil where it isn't known.
  public var claimed: Double?
  /// Seconds since 1970.
  public var ended: Double
  /// Who made it.
  public var runner: String
  /// One sentence.
  public var reason: String

  /// Reads what the scripts keep: a line for each, with tabs between claimed, ended, runner and reason.
  static func list(_ text: String) -> [FailedAttempt] {
    text.split(separator: "\n").compactMap { line in
      let parts = line.split(separator: "\t", maxSplits: 3, omittingEmptySubsequences: false)
      guard parts.count == 4, let ended = Double(parts[1]) else { return nil }
      return FailedAttempt(
        claimed: Double(parts[0]).map { $0 / 1000 }, ended: ended / 1000, runner: String(parts[2]),
        reason: String(parts[3]))
    }
  }
}

/// What became of the wish to have something tried again.
public enum ReplayOutcome: String, Sendable, Hashable {
  case queued
  /// Its bytes can't be read: it would be dead again at once.
  case unreadable
  /// It runs, waits or is done already.
  case known
  case unknown
}

/// What an operator does.
extension WorkQueue {
  /// Some of the items that wait (the oldest first) or run (the one whose lease ends first, first).
  /// - Parameters:
  ///   - state: queued, leased, retry, parked or outbox; others give nothing.
  ///   - pool: which list; only for `queued`.
  public func entries(
    _ state: WorkState, pool: Pool = .notification, from first: Int = 0, limit: Int = 100
  ) async throws(RedisError) -> [WorkEntry] {
    guard ![.dead, .done, .merged].contains(state) else { return [] }
    let reply = try await connection.script(
      Scripts.list,
      arguments: [
        RedisArgument(state.rawValue), RedisArgument(pool.rawValue), RedisArgument(first), RedisArgument(limit),
      ])
    guard let rows = reply.array else { throw unexpected("list", reply) }
    var entries: [WorkEntry] = []
    for row in rows {
      guard let fields = row.array, fields.count == 8, let id = fields[0].string else {
        throw unexpected("list", reply)
      }
      entries.append(WorkEntry(id: id, state: state, fields: Array(fields.dropFirst())))
    }
    return entries
  }

  /// What is known of an activation; nil: nothing. One that was never claimed is looked for in the lists, page by page.
  public func entry(_ id: String) async throws(RedisError) -> WorkEntry? {
    let reply = try await connection.script(Scripts.show, arguments: [RedisArgument(id)])
    guard let fields = reply.array else { throw unexpected("show", reply) }
    if fields.count == 10, let state = fields[0].string.flatMap(WorkState.init) {
      var entry = WorkEntry(id: id, state: state, fields: Array(fields[1..<8]))
      entry.history = FailedAttempt.list(fields[8].string ?? "")
      entry.merged = (fields[9].string ?? "").split(separator: " ").map(String.init)
      return entry
    }
    let page = 500
    for pool in Pool.allCases {
      var first = 0
      while true {
        let entries = try await entries(.queued, pool: pool, from: first, limit: page)
        if let found = entries.first(where: { $0.id == id }) { return found }
        if entries.count < page { break }
        first += page
      }
    }
    return nil
  }

  /// Closes an agent's circuit breaker: it rests no more, its failures are forgotten, and its work goes on.
  /// - Returns: false where it had none.
  public func endRest(of agentID: String) async throws(RedisError) -> Bool {
    let reply = try await connection.script(Scripts.endRest, arguments: [RedisArgument(agentID)])
    guard let changed = reply.integer else { throw unexpected("endRest", reply) }
    return changed == 1
  }

  /// Has a dead letter tried again from its first attempt, or a retry that waits tried now.
  public func replay(_ id: String) async throws(RedisError) -> ReplayOutcome {
    let reply = try await connection.script(Scripts.replay, arguments: [RedisArgument(id)])
    guard let outcome = reply.string.flatMap(ReplayOutcome.init) else { throw unexpected("replay", reply) }
    return outcome
  }

  /// Throws dead letters away: these. Their notifications stay marked, so that they are not queued again.
  /// - Returns: how many there were.
  public func purgeDead(_ ids: [String]) async throws(RedisError) -> Int {
    try await purge(["dead", "", 0] + ids.map { RedisArgument($0) })
  }

  /// Throws the oldest dead letters away, `count` at most.
  public func purgeDead(atMost count: Int) async throws(RedisError) -> Int {
    try await purgeInParts("deadest", "", count)
  }

  /// Throws the oldest items of a pool's list away, `count` at most. What runs, is parked or waits for a retry stays.
  public func purgeList(_ pool: Pool, atMost count: Int) async throws(RedisError) -> Int {
    try await purgeInParts("list", RedisArgument(pool.rawValue), count)
  }

  /// A script holds up everybody else, so 500 at a time.
  private func purgeInParts(
    _ what: RedisArgument, _ pool: RedisArgument, _ count: Int
  ) async throws(RedisError) -> Int {
    var total = 0
    while total < count {
      let part = min(500, count - total)
      let purged = try await purge([what, pool, RedisArgument(part)])
      total += purged
      if purged < part { break }
    }
    return total
  }

  private func purge(_ arguments: [RedisArgument]) async throws(RedisError) -> Int {
    let reply = try await connection.script(Scripts.purge, arguments: arguments)
    guard let purged = reply.integer else { throw unexpected("purge", reply) }
    return purged
  }
}

extension WorkEntry {
  /// Of what the scripts answer: raw, pool, agent, attempt, runner, reason, time.
  fileprivate init(id: String, state: WorkState, fields: [RedisValue]) {
    self.init(
      id: id, state: state, raw: fields[0].bytes ?? [], pool: fields[1].string.flatMap(Pool.init),
      agentID: fields[2].string ?? "", attempt: fields[3].integer ?? 0, runner: fields[4].string ?? "",
      reason: fields[5].string ?? "", time: fields[6].string.flatMap { Double($0) }.map { $0 / 1000 })
  }
}
