import Redis

/// How much waits and runs.
public struct WorkStatus: Sendable, Hashable {
  /// One pool's share.
  public struct PoolStatus: Sendable, Hashable {
    /// Items in its list.
    public var queued: Int
    /// Activations that run.
    public var leased: Int
    /// Whether an operator paused it.
    public var isPaused: Bool
    /// Items of it that wait because their agent is busy, rests or is paused.
    public var parked = 0
    /// Retries of it whose time has come.
    public var dueRetries = 0

    /// A value as given.
    public init(queued: Int, leased: Int, isPaused: Bool, parked: Int = 0, dueRetries: Int = 0) {
      self.queued = queued
      self.leased = leased
      self.isPaused = isPaused
      self.parked = parked
      self.dueRetries = dueRetries
    }

    /// How many runners the pool's work keeps busy: ⌈(queued + leased + parked + due retries) / slots⌉. The length of the list alone
    /// would stop runners that still work.
    /// - Parameter slots: `runners.<pool>.max_activations`.
    public func wantedRunners(slots: Int) -> Int {
      let slots = max(slots, 1)
      return (queued + leased + parked + dueRetries + slots - 1) / slots
    }
  }

  /// An agent whose circuit breaker is open.
  public struct Resting: Sendable, Hashable {
    /// Who rests.
    public var agentID: String
    /// Seconds since 1970; then it has one trial.
    public var until: Double
    /// In a row.
    public var failures: Int
  }
  /// An agent or a runner that an operator paused.
  public struct Paused: Sendable, Hashable {
    /// The agent's or the runner's.
    public var id: String
    /// Seconds since 1970: since when; of a runner, when it asked for work the last time, if it did since then.
    public var time: Double
  }
  /// By pool.
  public var pools: [Pool: PoolStatus]
  /// Activations that run, in all pools.
  public var leased: Int
  /// Items that wait because their agent is busy, rests or is paused.
  public var parked: Int
  /// Items that wait for their next attempt.
  public var retries: Int
  /// Dead letters.
  public var dead: Int
  /// Entries of the outbox that the Hub has not taken yet.
  public var outbox: Int
  /// Seconds that the oldest of them has waited; 0 where none waits.
  public var outboxAge: Double
  /// Agents whose exploration is overdue.
  public var stalenessDebt: Int
  /// `epoch:nonce` of the leader; nil while nobody leads.
  public var leader: String?
  /// Whether an operator paused the whole system.
  public var isPaused: Bool
  /// How many agents an operator paused.
  public var pausedAgents = 0
  /// The first 20 of them, those that were paused first.
  public var firstPausedAgents: [Paused] = []
  /// How many runners an operator paused.
  public var pausedRunners = 0
  /// The first 20 of them, those that asked longest ago.
  public var firstPausedRunners: [Paused] = []
  /// Since the database began: enqueued, claimed, merged, done, dead, expired, duplicate, rested, clock_set_back, replayed, purged; of the outbox
  /// delivered and refused.
  public var counts: [String: Int]
  /// Agents that rest after failures in a row: circuit breakers that are open.
  public var resting = 0
  /// Agents that rested and have one trial now: circuit breakers that are half open.
  public var onTrial = 0
  /// The first 20 of `resting` by the end of their rest.
  public var firstResting: [Resting] = []
}

/// An item that nobody will run.
public struct DeadLetter: Sendable, Hashable {
  /// The activation's id, or one made of time and content where the item could not be read.
  public var id: String
  /// One sentence.
  public var reason: String
  /// The bytes as they came.
  public var raw: [UInt8]
  /// The list it came from.
  public var pool: Pool?
  /// Empty where the item could not be read.
  public var agentID: String
  /// Attempts that were made.
  public var attempt: Int
  /// Seconds since 1970.
  public var time: Double
  /// The attempts that failed, the oldest first; at most the last 20.
  public var history: [FailedAttempt] = []
  /// Ids of the items that were merged into it, and are tried again or purged with it.
  public var merged: [String] = []
}

extension WorkQueue {
  /// Queue depths and counters, all of one moment.
  public func status() async throws(RedisError) -> WorkStatus {
    let pools = Pool.allCases
    let reply = try await connection.script(
      Scripts.status,
      arguments: [RedisArgument(options.failuresBeforeRest)] + pools.map { RedisArgument($0.rawValue) })
    guard let fields = reply.array, fields.count == 11, let perPool = fields[7].array, perPool.count == pools.count * 5,
      let counters = fields[8].array, let outbox = fields[9].array, outbox.count == 2,
      let breakers = fields[10].array, breakers.count >= 2, let pauses = fields[6].array, pauses.count == 3,
      let agents = pauses[1].array, let runners = pauses[2].array
    else { throw unexpected("status", reply) }
    func number(_ value: RedisValue) -> Int { value.integer ?? 0 }
    var status = WorkStatus(
      pools: [:], leased: number(fields[0]), parked: number(fields[1]), retries: number(fields[2]),
      dead: number(fields[3]), outbox: number(outbox[0]), outboxAge: Double(number(outbox[1])) / 1000,
      stalenessDebt: number(fields[4]), leader: fields[5].string.flatMap { $0.isEmpty ? nil : $0 },
      isPaused: number(pauses[0]) == 1, counts: [:])
    (status.pausedAgents, status.firstPausedAgents) = (agents.first.map(number) ?? 0, Self.paused(agents))
    (status.pausedRunners, status.firstPausedRunners) = (runners.first.map(number) ?? 0, Self.paused(runners))
    for (index, pool) in pools.enumerated() {
      status.pools[pool] = WorkStatus.PoolStatus(
        queued: number(perPool[index * 5]), leased: number(perPool[index * 5 + 1]),
        isPaused: number(perPool[index * 5 + 2]) == 1, parked: number(perPool[index * 5 + 3]),
        dueRetries: number(perPool[index * 5 + 4]))
    }
    (status.resting, status.onTrial) = (number(breakers[0]), number(breakers[1]))
    for index in stride(from: 2, to: breakers.count - 2, by: 3) {
      guard let agent = breakers[index].string, let until = breakers[index + 1].string.flatMap({ Double($0) }) else {
        continue
      }
      status.firstResting.append(
        WorkStatus.Resting(agentID: agent, until: until / 1000, failures: number(breakers[index + 2])))
    }
    for index in stride(from: 0, to: counters.count - 1, by: 2) {
      if let name = counters[index].string { status.counts[name] = number(counters[index + 1]) }
    }
    return status
  }

  /// Of a count, then id and time by turns.
  private static func paused(_ fields: [RedisValue]) -> [WorkStatus.Paused] {
    stride(from: 1, to: fields.count - 1, by: 2).compactMap { index in
      guard let id = fields[index].string, let time = fields[index + 1].string.flatMap({ Double($0) }) else {
        return nil
      }
      return WorkStatus.Paused(id: id, time: time / 1000)
    }
  }

  /// The newest dead letters.
  public func dead(limit: Int = 100) async throws(RedisError) -> [DeadLetter] {
    let reply = try await connection.script(Scripts.dead, arguments: [RedisArgument(limit)])
    guard let letters = reply.array else { throw unexpected("dead", reply) }
    return letters.compactMap { letter in
      guard let fields = letter.array, fields.count == 9, let id = fields[0].string else { return nil }
      return DeadLetter(
        id: id, reason: fields[1].string ?? "", raw: fields[2].bytes ?? [], pool: fields[3].string.flatMap(Pool.init),
        agentID: fields[4].string ?? "", attempt: fields[5].integer ?? 0, time: Double(fields[6].integer ?? 0) / 1000,
        history: FailedAttempt.list(fields[7].string ?? ""),
        merged: (fields[8].string ?? "").split(separator: " ").map(String.init))
    }
  }

  /// Whether Redis answers.
  public func ping() async throws(RedisError) { _ = try await connection.command(["PING"]) }
}
