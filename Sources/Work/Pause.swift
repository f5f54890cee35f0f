import Redis

/// What an operator pauses.
public enum PauseScope: Sendable, Hashable {
  /// Everything, by a flag of its own.
  case system
  /// These pools' lists.
  case pools([Pool])
  /// These agents' work, whoever would run it. It is parked where a claim meets it, and they don't explore.
  case agents([String])
  /// These runner processes. Forgotten a week after one asked for work the last time: a runner's id doesn't come back.
  case runners([String])

  var arguments: [RedisArgument] {
    switch self {
    case .system: ["pool", ""]
    case .pools(let pools): ["pool"] + pools.map { RedisArgument($0.rawValue) }
    case .agents(let ids): ["agent"] + ids.map { RedisArgument($0) }
    case .runners(let ids): ["runner"] + ids.map { RedisArgument($0) }
    }
  }
  /// A script holds up everybody else, so a hundred names at a time.
  var parts: [PauseScope] {
    func parts(_ ids: [String]) -> [[String]] {
      stride(from: 0, to: ids.count, by: 100).map { Array(ids[$0..<min($0 + 100, ids.count)]) }
    }
    return switch self {
    case .system: [self]
    case .pools(let pools): pools.isEmpty ? [] : [self]
    case .agents(let ids): parts(ids).map { .agents($0) }
    case .runners(let ids): parts(ids).map { .runners($0) }
    }
  }
}

extension WorkQueue {
  /// Keeps work from being claimed until `resume`. What runs goes on to its end.
  /// - Returns: names of those that this paused, of pools, agents or runners; "" is the whole system.
  @discardableResult
  public func pause(_ scope: PauseScope) async throws(RedisError) -> [String] { try await change("pause", scope) }

  /// Takes back what `pause` did, and wakes whoever waits for that. An agent's circuit breaker is another matter: `endRest(of:)`.
  /// - Returns: names of those that were paused; "" is the whole system.
  @discardableResult
  public func resume(_ scope: PauseScope) async throws(RedisError) -> [String] { try await change("resume", scope) }

  /// Takes back every pause: the system's, pools', agents' and runners'.
  /// - Returns: how many there were.
  @discardableResult
  public func resumeAll() async throws(RedisError) -> Int {
    var count = try await resume(.system).count + resume(.pools(Pool.allCases)).count
    for all: PauseScope in [.agents([]), .runners([])] {
      while true {
        let changed = try await set("resume", all).count
        if changed == 0 { break }
        count += changed
      }
    }
    return count
  }

  /// Activations that run now, of these all together.
  public func running(_ scope: PauseScope) async throws(RedisError) -> Int {
    var total = 0
    for part in scope.parts {
      let reply = try await connection.script(Scripts.runningCounts, arguments: part.arguments)
      guard let counts = reply.array else { throw unexpected("running", reply) }
      total += counts.reduce(0) { $0 + ($1.integer ?? 0) }
    }
    return total
  }

  private func change(_ what: RedisArgument, _ scope: PauseScope) async throws(RedisError) -> [String] {
    var changed: [String] = []
    for part in scope.parts { changed += try await set(what, part) }
    return changed
  }

  private func set(_ what: RedisArgument, _ scope: PauseScope) async throws(RedisError) -> [String] {
    let reply = try await connection.script(Scripts.pause, arguments: [what] + scope.arguments)
    guard let names = reply.array else { throw unexpected("pause", reply) }
    return names.compactMap(\.string)
  }
}
