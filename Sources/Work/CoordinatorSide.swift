import Redis

/// What a leader shows with every write: refused once somebody else leads.
public struct Fence: Sendable, Hashable {
  /// `epoch:nonce`, as in `coordinator:leader`.
  public let value: String
  /// Grows with each leader.
  public var epoch: Int { value.split(separator: ":").first.flatMap { Int($0) } ?? 0 }
  /// Makes a fence of what the lock holds.
  public init(value: String) { self.value = value }
}

/// An item that a leader wants queued.
public struct Proposal: Sendable, Hashable {
  /// Must have an activation id.
  public var item: WorkItem
  /// Whose list.
  public var pool: Pool
  /// When its agent is to be explored next, seconds since 1970; for explorations only.
  public var nextDue: Double?
  /// `DueAgents.now` of the look at the schedule; an agent that was active since then isn't queued.
  public var decidedAt: Double?
  /// Makes one.
  public init(item: WorkItem, pool: Pool, nextDue: Double? = nil, decidedAt: Double? = nil) {
    self.item = item
    self.pool = pool
    self.nextDue = nextDue
    self.decidedAt = decidedAt
  }
}

/// What became of an item that the coordinator wanted queued.
public enum EnqueueOutcome: String, Sendable, Hashable {
  case queued
  /// One of its notifications, or an exploration of its agent, is queued, runs, or is over; or it explores and its agent is paused.
  case duplicate
  /// Another coordinator leads: step down.
  case fenced
}

/// What the queue knows of a notification.
public enum NotificationState: Sendable, Hashable {
  /// Its item waits or runs.
  case waiting(activationID: String)
  /// Answered; if the Hub still calls it unread, only the read-mark is missing.
  case done(activationID: String)
  /// Its item is in the dead letters: not queued again by itself, and not lost.
  case dead(activationID: String)
}

/// An agent whose exploration may be due.
public struct DueAgent: Sendable, Hashable {
  /// Whom to activate.
  public var agentID: String
  /// Seconds since 1970.
  public var due: Double
  /// When its last activation was done, seconds since 1970; nil where the queue knows of none.
  public var lastActivated: Double?
  /// Makes one.
  public init(agentID: String, due: Double, lastActivated: Double?) {
    self.agentID = agentID
    self.due = due
    self.lastActivated = lastActivated
  }
}

/// The answer to `takeDue`.
public struct DueAgents: Sendable, Hashable {
  /// The server's time, seconds since 1970.
  public var now: Double
  /// How many agents are overdue in all.
  public var debt: Int
  /// The most overdue of them.
  public var agents: [DueAgent]
}

/// What an agent said in the Hub today (UTC).
public struct SaidToday: Sendable, Hashable {
  /// Comments, answers included.
  public var comments: Int
  /// Threads that it began.
  public var posts: Int
  /// Makes one.
  public init(comments: Int, posts: Int) {
    self.comments = comments
    self.posts = posts
  }
}

extension WorkQueue {
  /// What agents said today, as far as their activations are over.
  public func said(by agentIDs: [String]) async throws(RedisError) -> [String: SaidToday] {
    var said: [String: SaidToday] = [:]
    for start in stride(from: 0, to: agentIDs.count, by: 500) {
      let part = Array(agentIDs[start..<min(start + 500, agentIDs.count)])
      let reply = try await connection.script(Scripts.said, arguments: part.map { RedisArgument($0) })
      guard let counts = reply.array?.map(\.integer), counts.count == part.count * 2 else {
        throw unexpected("said", reply)
      }
      for (index, id) in part.enumerated() {
        said[id] = SaidToday(comments: counts[index * 2] ?? 0, posts: counts[index * 2 + 1] ?? 0)
      }
    }
    return said
  }

  /// Puts items at the tail of pools' lists, in this order, each unless one of its notifications (or an exploration of its agent)
  /// is known already.
  /// - Parameter proposals: `batch` at most, because a script holds up everybody else.
  /// - Returns: one outcome for each; where one is `.fenced`, all are.
  public func enqueue(
    _ proposals: some Collection<Proposal>, fence: Fence
  ) async throws(RedisError) -> [EnqueueOutcome] {
    if proposals.isEmpty { return [] }
    var arguments = [RedisArgument(fence.value), RedisArgument(options.notificationMemory.milliseconds)]
    for proposal in proposals { arguments += try self.arguments(proposal) }
    let reply = try await connection.script(Scripts.enqueue, arguments: arguments)
    if reply.string == "fenced" { return Array(repeating: .fenced, count: proposals.count) }
    let outcomes = reply.array?.compactMap { $0.string.flatMap(EnqueueOutcome.init) } ?? []
    guard outcomes.count == proposals.count else { throw unexpected("enqueue", reply) }
    return outcomes
  }

  /// Items that one call of `enqueue` takes.
  public static var batch: Int { 100 }

  private func arguments(_ proposal: Proposal) throws(RedisError) -> [RedisArgument] {
    let item = proposal.item
    let raw: [UInt8]
    do { raw = try item.encoded() } catch {
      throw RedisError(kind: .unexpected, operation: "enqueue", endpoint: url.endpoint, reason: error.description)
    }
    return [
      RedisArgument(proposal.pool.rawValue), RedisArgument(item.activationID ?? makeID()), RedisArgument(item.agentID),
      RedisArgument(item.taskType.rawValue), RedisArgument(raw),
      RedisArgument(proposal.nextDue.map { Int($0 * 1000) } ?? 0),
      RedisArgument(proposal.decidedAt.map { Int(($0 * 1000).rounded()) } ?? 0),
      RedisArgument(item.notificationIDs.count),
    ] + item.notificationIDs.map { RedisArgument($0) }
  }

  /// What is known of these notifications; an unknown one is missing in the answer. Those whose item is in the dead letters are
  /// remembered for another week, as long as they are asked for.
  public func notificationStates(_ ids: [String]) async throws(RedisError) -> [String: NotificationState] {
    var states: [String: NotificationState] = [:]
    // A thousand at a time: a script holds up everybody else.
    for start in stride(from: 0, to: ids.count, by: 1000) {
      try await addStates(of: ids[start..<min(start + 1000, ids.count)], to: &states)
    }
    return states
  }

  private func addStates(
    of ids: ArraySlice<String>, to states: inout [String: NotificationState]
  ) async throws(RedisError) {
    let reply = try await connection.script(Scripts.notificationStates, arguments: ids.map { RedisArgument($0) })
    guard let values = reply.array, values.count == ids.count else { throw unexpected("notificationStates", reply) }
    for (id, value) in zip(ids, values) {
      guard let text = value.string, let colon = text.firstIndex(of: ":") else { continue }
      let activationID = String(text[text.index(after: colon)...])
      switch text[..<colon] {
      case "done": states[id] = .done(activationID: activationID)
      case "dead": states[id] = .dead(activationID: activationID)
      default: states[id] = .waiting(activationID: activationID)
      }
    }
  }

  /// Gives agents a due time (seconds since 1970) where they have none yet. False: another coordinator leads.
  public func scheduleNew(_ due: [(agentID: String, at: Double)], fence: Fence) async throws(RedisError) -> Bool {
    try await schedule("add", due, fence)
  }

  /// Moves agents' due times. False: another coordinator leads.
  public func reschedule(_ due: [(agentID: String, at: Double)], fence: Fence) async throws(RedisError) -> Bool {
    try await schedule("set", due, fence)
  }

  /// Takes agents off the schedule. False: another coordinator leads.
  public func unschedule(_ agentIDs: [String], fence: Fence) async throws(RedisError) -> Bool {
    try await schedule("remove", agentIDs.map { ($0, 0) }, fence)
  }

  /// Which of these agents neither have a due time nor are noted as quiet.
  public func unscheduled(_ agentIDs: [String]) async throws(RedisError) -> [String] {
    var new: [String] = []
    for start in stride(from: 0, to: agentIDs.count, by: 1000) {
      let part = agentIDs[start..<min(start + 1000, agentIDs.count)]
      let reply = try await connection.script(Scripts.unscheduled, arguments: part.map { RedisArgument($0) })
      guard let ids = reply.array else { throw unexpected("unscheduled", reply) }
      new += ids.compactMap(\.string)
    }
    return new
  }

  /// Notes that agents don't explore, until their definition is to be looked at again (seconds since 1970). False: another
  /// coordinator leads.
  public func noteQuiet(_ until: [(agentID: String, at: Double)], fence: Fence) async throws(RedisError) -> Bool {
    try await schedule("quiet", until, fence)
  }

  /// The most overdue agents, oldest first; each is offered again after `hold`, unless it is given another due time by then.
  /// Nil: another coordinator leads.
  public func takeDue(
    _ count: Int, hold: Duration = .seconds(60), fence: Fence
  ) async throws(RedisError) -> DueAgents? {
    let reply = try await connection.script(
      Scripts.takeDue,
      arguments: [RedisArgument(fence.value), RedisArgument(count), RedisArgument(hold.milliseconds)])
    let fields = reply.array ?? []
    if fields.first?.string == "fenced" { return nil }
    guard fields.count >= 3, fields.count % 3 == 0, let now = fields[1].integer, let debt = fields[2].integer else {
      throw unexpected("takeDue", reply)
    }
    var due = DueAgents(now: Double(now) / 1000, debt: debt, agents: [])
    for index in stride(from: 3, to: fields.count, by: 3) {
      guard let agent = fields[index].string, let at = fields[index + 1].string.flatMap({ Double($0) }) else {
        throw unexpected("takeDue", reply)
      }
      due.agents.append(
        DueAgent(agentID: agent, due: at / 1000, lastActivated: fields[index + 2].integer.map { Double($0) / 1000 }))
    }
    return due
  }

  /// The agents that `takeDue` will give next: those that are overdue, and those that will be within `ahead`. Anybody may ask.
  public func upcoming(_ count: Int, ahead: Duration) async throws(RedisError) -> [String] {
    let reply = try await connection.script(
      Scripts.upcoming, arguments: [RedisArgument(count), RedisArgument(ahead.milliseconds)])
    guard let ids = reply.array else { throw unexpected("upcoming", reply) }
    return ids.compactMap(\.string)
  }

  private func schedule(
    _ what: RedisArgument, _ due: [(agentID: String, at: Double)], _ fence: Fence
  ) async throws(RedisError) -> Bool {
    // Lua hands at most some thousand values at once; stay far below.
    for start in stride(from: 0, to: due.count, by: 500) {
      let pairs = due[start..<min(start + 500, due.count)]
        .flatMap { [RedisArgument($0.agentID), RedisArgument(Int($0.at * 1000))] }
      let reply = try await connection.script(Scripts.schedule, arguments: [RedisArgument(fence.value), what] + pairs)
      if reply.integer == -1 { return false }
    }
    return true
  }
}
