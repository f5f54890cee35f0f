import JSON
import Redis

/// One thing that the Hub is to be told, and how far that is.
public struct OutboxEffect: Sendable, Hashable {
  /// How far it is.
  public enum State: String, Sendable, Hashable {
    /// Not sent yet.
    case ready
    /// Sent, or about to be: whether the Hub took it is not known.
    case sending
    /// The Hub has it.
    case sent
    /// The Hub will not have it.
    case refused
  }
  /// What to tell, as the runner writes it; the queue doesn't look inside.
  public var body: [UInt8]
  /// How far it is.
  public var state: State
  /// Makes one.
  public init(body: [UInt8], state: State = .ready) {
    self.body = body
    self.state = state
  }
}

/// What an activation has to tell the Hub, as it is kept until the Hub has it.
public struct OutboxEntry: Sendable, Hashable {
  /// The activation's id, or one made of it for what an attempt that failed had used.
  public var id: String
  /// Whose effects these are.
  public var activationID: String
  /// Whose activation it was.
  public var agentID: String
  /// The thread that gets the answer; nil where there is none.
  public var postID: String?
  /// What is marked as read with it.
  public var notificationIDs: [String]
  /// In the order in which they are sent.
  public var effects: [OutboxEffect]
  /// Tries that did not end it.
  public var tries = 0
  /// Seconds since 1970, by the server.
  public var created = 0.0

  /// Makes one that is not stored yet.
  public init(
    id: String, activationID: String, agentID: String, postID: String?, notificationIDs: [String],
    effects: [OutboxEffect]
  ) {
    self.id = id
    self.activationID = activationID
    self.agentID = agentID
    self.postID = postID
    self.notificationIDs = notificationIDs
    self.effects = effects
  }
}

/// What became of the wish to keep an entry.
public enum OutboxStored: Sendable, Hashable {
  case stored
  /// Another holder of the lease stored first; its words stand.
  case earlier
  /// The lease is somebody else's: say nothing.
  case stale
}

/// What a runner must know before it runs an activation.
public struct OutboxView: Sendable, Hashable {
  /// The activation's answer is kept already: it is not run again.
  public var isStored: Bool
  /// Entries that wait in the whole system.
  public var waiting: Int
  /// The threads of this agent's answers that wait, by entry.
  public var pending: [String: String]
  /// What its agent made in the Hub by itself, in earlier runs of the same activation, by number.
  public var made: [String: LedgerRecord]
  /// Makes one.
  public init(isStored: Bool, waiting: Int, pending: [String: String], made: [String: LedgerRecord]) {
    self.isStored = isStored
    self.waiting = waiting
    self.pending = pending
    self.made = made
  }
}

/// How a deliverer's turn ended.
public enum OutboxEnd: Sendable, Hashable {
  /// The Hub has everything.
  case delivered
  /// Not before `after`.
  case later(reason: String, after: Duration)
  /// The Hub will not have some of it: kept as a dead letter.
  case refused(reason: String)
}

/// What became of a deliverer's turn.
public enum OutboxEnded: String, Sendable, Hashable {
  case delivered, later
  /// A dead letter: refused, or too old to wait any longer.
  case dead
  /// Somebody else delivers; nothing was changed.
  case stale
}

/// A record of the ledger of what agents make in the Hub by themselves.
public struct LedgerRecord: Sendable, Hashable {
  /// Whether the Hub is known to have it; otherwise it was sent, or was about to be.
  public var isMade: Bool
  /// What was made, as the gateway writes it.
  public var body: [UInt8]
  /// Makes one.
  public init(isMade: Bool, body: [UInt8]) {
    self.isMade = isMade
    self.body = body
  }
}

/// What the ledger says of an effect that is about to be made.
public enum LedgerBeginning: Sendable, Hashable {
  /// Nobody made it; it is noted as being sent.
  case new
  case known(LedgerRecord)
  /// The lease is somebody else's: make nothing.
  case stale
  /// This activation made as many as the ledger keeps.
  case full
}

/// The outbox: what the Hub is to be told is kept before it is told, and delivered by any runner.
extension WorkQueue {
  /// Effects that the ledger keeps of one activation.
  static let largestLedger = 1000
  /// How long an entry waits for the Hub before it becomes a dead letter.
  static let greatestAge = Duration.seconds(7 * 24 * 3600)

  /// What is kept of an activation, of what its agent made, and of its agent's answers that wait.
  public func outboxView(activationID: String, agentID: String) async throws(RedisError) -> OutboxView {
    let reply = try await connection.script(
      Scripts.outboxBegin, arguments: [RedisArgument(activationID), RedisArgument(agentID)])
    guard let fields = reply.array, fields.count == 4, let stored = fields[0].integer, let waiting = fields[1].integer
    else { throw unexpected("outboxView", reply) }
    var view = OutboxView(isStored: stored == 1, waiting: waiting, pending: [:], made: [:])
    for (entry, post) in fields[2].pairs { view.pending[entry] = post.string }
    for (number, record) in fields[3].pairs { view.made[number] = LedgerRecord(record.bytes ?? []) }
    return view
  }

  /// Keeps an entry under the activation's lease; its holder delivers it and ends with `finish(_:_:)`. May be called again.
  public func store(_ entry: OutboxEntry, lease: Lease) async throws(RedisError) -> OutboxStored {
    try await store(entry, token: lease.token, how: "leased")
  }

  /// Keeps a fact that holds whoever has the lease, for any runner to deliver.
  public func storeFact(_ entry: OutboxEntry, lease: Lease) async throws(RedisError) {
    _ = try await store(entry, token: lease.token, how: "free")
  }

  private func store(
    _ entry: OutboxEntry, token: String, how: RedisArgument
  ) async throws(RedisError) -> OutboxStored {
    let notes = JSONValue.array(entry.notificationIDs.map { .string($0) }).compactText
    let reply = try await connection.script(
      Scripts.outboxStore,
      arguments: [
        RedisArgument(entry.id), RedisArgument(entry.activationID), RedisArgument(token), how,
        RedisArgument(entry.agentID), RedisArgument(entry.postID ?? ""), RedisArgument(notes),
      ] + entry.effects.flatMap { [RedisArgument($0.state.rawValue), RedisArgument($0.body)] })
    switch reply.string {
    case "stored": return .stored
    case "earlier": return .earlier
    case "stale": return .stale
    default: throw unexpected("store", reply)
    }
  }

  /// Takes entries that are due, for `lease`.
  /// - Returns: the entries, and how long it is until the next is due; nil: none waits.
  public func claimOutbox(
    token: String, lease: Duration, atMost count: Int
  ) async throws(RedisError) -> (entries: [OutboxEntry], next: Duration?) {
    let reply = try await connection.script(
      Scripts.outboxClaim,
      arguments: [RedisArgument(token), RedisArgument(lease.milliseconds), RedisArgument(count)])
    guard let fields = reply.array, let next = fields.first else { throw unexpected("claimOutbox", reply) }
    var entries: [OutboxEntry] = []
    for field in fields.dropFirst() {
      guard let parts = field.array, parts.count == 2, let id = parts[0].string else {
        throw unexpected("claimOutbox", reply)
      }
      // One that somebody's hand has damaged must not hold up the others; it shows by its age.
      if let entry = OutboxEntry(id: id, fields: parts[1].pairs) { entries.append(entry) }
    }
    return (entries, next.integer.map { .milliseconds($0) })
  }

  /// Notes how far delivery has come, by the effects' index from 0, and keeps a deliverer's lease. False: somebody else delivers.
  public func step(
    _ entryID: String, token: String, lease: Duration, _ states: [Int: OutboxEffect.State] = [:]
  ) async throws(RedisError) -> Bool {
    try await connection.script(
      Scripts.outboxStep,
      arguments: [RedisArgument(entryID), RedisArgument(token), RedisArgument(lease.milliseconds)] + flat(states)
    ).integer == 1
  }

  /// Ends a deliverer's turn.
  @discardableResult
  public func endOutbox(
    _ entryID: String, token: String, _ end: OutboxEnd, _ states: [Int: OutboxEffect.State]
  ) async throws(RedisError) -> OutboxEnded {
    let (word, why, delay): (RedisArgument, String, Duration) =
      switch end {
      case .delivered: ("delivered", "", .zero)
      case .later(let reason, let after): ("later", reason, after)
      case .refused(let reason): ("refused", reason, .zero)
      }
    let reply = try await connection.script(
      Scripts.outboxEnd,
      arguments: [
        RedisArgument(entryID), RedisArgument(token), word, RedisArgument(delay.milliseconds), RedisArgument(why),
        RedisArgument(Self.greatestAge.milliseconds),
      ] + flat(states))
    guard let ended = reply.string.flatMap(OutboxEnded.init) else { throw unexpected("endOutbox", reply) }
    return ended
  }

  private func flat(_ states: [Int: OutboxEffect.State]) -> [RedisArgument] {
    states.flatMap { [RedisArgument($0.key + 1), RedisArgument($0.value.rawValue)] }
  }
}

/// The ledger of what agents make in the Hub by themselves.
extension WorkQueue {
  /// Asked right before an effect is made; where nobody made it, it is noted as being sent.
  public func beginEffect(_ number: String, body: [UInt8], lease: Lease) async throws(RedisError) -> LedgerBeginning {
    let reply = try await effect("begin", number, body, lease)
    switch reply.array?.first?.string {
    case "new": return .new
    case "stale": return .stale
    case "full": return .full
    case "made": return .known(LedgerRecord(isMade: true, body: reply.array?.last?.bytes ?? []))
    case "sending": return .known(LedgerRecord(isMade: false, body: reply.array?.last?.bytes ?? []))
    default: throw unexpected("beginEffect", reply)
    }
  }

  /// Notes other words as being sent under a number of which it was not known whether the Hub has it. False: the lease is
  /// somebody else's.
  public func resendEffect(_ number: String, body: [UInt8], lease: Lease) async throws(RedisError) -> Bool {
    try await effect("sending", number, body, lease).array?.first?.string == "ok"
  }

  /// Notes that the Hub has it.
  public func effectMade(_ number: String, body: [UInt8], lease: Lease) async throws(RedisError) {
    _ = try await effect("made", number, body, lease)
  }

  /// Notes that nothing was made under that number.
  public func freeEffect(_ number: String, lease: Lease) async throws(RedisError) {
    _ = try await effect("free", number, [], lease)
  }

  private func effect(
    _ what: RedisArgument, _ number: String, _ body: [UInt8], _ lease: Lease
  ) async throws(RedisError) -> RedisValue {
    try await connection.script(
      Scripts.effect,
      arguments: [
        what, RedisArgument(lease.activationID), RedisArgument(lease.token), RedisArgument(number), RedisArgument(body),
        RedisArgument(Self.greatestAge.milliseconds), RedisArgument(Self.largestLedger),
      ])
  }
}

extension LedgerRecord {
  /// As it stands in Redis: the state, a colon, the body.
  fileprivate init(_ kept: [UInt8]) {
    let parts = kept.split(separator: UInt8(ascii: ":"), maxSplits: 1, omittingEmptySubsequences: false)
    self.init(
      isMade: parts.first.map { Array($0) } == Array("made".utf8), body: parts.count == 2 ? Array(parts[1]) : [])
  }
}

extension OutboxEntry {
  /// Of the fields of its hash; nil where one is missing.
  fileprivate init?(id: String, fields: [(String, RedisValue)]) {
    let values = Dictionary(fields) { $1 }
    guard let activation = values["activation"]?.string, let agent = values["agent"]?.string,
      let count = values["n"]?.integer, let created = values["created"]?.integer
    else { return nil }
    self.init(
      id: id, activationID: activation, agentID: agent,
      postID: values["post"]?.string.flatMap { $0.isEmpty ? nil : $0 }, notificationIDs: [], effects: [])
    self.created = Double(created) / 1000
    tries = values["tries"]?.integer ?? 0
    for index in 1...max(1, count) where index <= count {
      guard let body = values["e\(index)"]?.bytes,
        let state = values["s\(index)"]?.string.flatMap(OutboxEffect.State.init)
      else { return nil }
      effects.append(OutboxEffect(body: body, state: state))
    }
  }
}

extension RedisValue {
  /// The elements of an array two by two, as HGETALL answers.
  fileprivate var pairs: [(String, RedisValue)] {
    let values = array ?? []
    return stride(from: 0, to: values.count - 1, by: 2).compactMap { index in
      values[index].string.map { ($0, values[index + 1]) }
    }
  }
}
