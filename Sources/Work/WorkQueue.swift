import Redis
import Synchronization

/// The queue, as runners and coordinators see it: every call is one script in Redis, so nothing is half done and nothing counts
/// in a process's memory. Keys and rules are in docs/queue.md.
///
/// All calls throw `RedisError`; where `isTransient` says so the same call may be made again, and a broken connection is made
/// again by itself. Release it with `close()`.
public final class WorkQueue: Sendable {
  /// What may be tuned.
  public struct Options: Sendable, Hashable {
    /// How long a claim lasts without a heartbeat.
    public var lease: Duration = .seconds(15)
    /// How often an item is tried before it goes to the dead letters.
    public var maxAttempts = 5
    /// After so many failures in a row an agent rests, and its work waits. Then it has one trial.
    public var failuresBeforeRest = 10
    /// The first rest; twice as long after each trial that fails too, up to an hour.
    public var rest: Duration = .seconds(30)
    /// How long a queued notification is known if nothing is heard of its item: a consumer that popped it with a plain BRPOP may
    /// have died. After that an unread notification is queued again.
    public var notificationMemory: Duration = .seconds(6 * 3600)
    /// How long one command may take.
    public var commandTimeout: Duration = .seconds(5)
    /// How long a runner process is known to be there after it last said so, three times as often: longer than a usual lease,
    /// so that what it ran is put back by the time it counts as lost.
    public var runnerExpiry: Duration = .seconds(20)
    /// How long `finish` and `release` go on trying while Redis is away.
    public var finishPatience: Duration = .seconds(10)
    /// The values given above.
    public init() {}
  }

  /// Where the queue is.
  public let url: RedisURL
  /// As given at the start.
  public let options: Options
  let connection: RedisConnection
  let makeID: @Sendable () -> String
  let room: WaitingRoom
  /// What the last claim said of pauses.
  private let refused = Mutex(Refusal())
  let rewriteRefusal = Mutex<RedisError?>(nil)
  private struct Refusal {
    /// Of the pools that it was to serve.
    var pools: Set<Pool> = []
    /// The last resume before it; nil where nothing was paused.
    var lastResume: String?
  }

  /// Connects at the first call.
  /// - Parameters:
  ///   - makeID: makes activation ids and tokens.
  ///   - jitter: chance for the reconnection's back-off, from 0 to 1.
  public init(
    _ url: RedisURL, options: Options = Options(), makeID: @escaping @Sendable () -> String = ActivationID.random,
    jitter: @escaping @Sendable () -> Double = { Double.random(in: 0...1) }
  ) {
    self.url = url
    self.options = options
    self.makeID = makeID
    let connect: @Sendable () -> RedisConnection = {
      RedisConnection(url, commandTimeout: options.commandTimeout, jitter: jitter)
    }
    connection = connect()
    room = WaitingRoom(connect: connect)
  }

  /// Ends the connections; whoever waits gets an error of kind `closed`.
  public func close() {
    connection.close()
    room.close()
  }

  // MARK: The runner's side

  /// Takes the next item, in the order of `pools` (`Pool.served`), if both caps have room.
  ///
  /// An item that can't be read goes to the dead letters, a copy of one that runs or is done is dropped and counted, and one
  /// whose agent is busy, rests or is paused, is parked beside it; the claim then looks at the next. What was parked for the same thread, or as
  /// the agent's inbox, comes as one lease.
  /// - Parameters:
  ///   - runner: an id that no other runner process has.
  ///   - runnerCap: `runners.<pool>.max_activations`.
  ///   - globalCap: `coordinator.max_concurrent_activations`.
  public func claim(
    _ pools: [Pool], runner: String, runnerCap: Int, globalCap: Int
  ) async throws(RedisError) -> ClaimOutcome {
    while true {
      let token = makeID()
      let reply = try await connection.script(
        Scripts.claim,
        arguments: [
          RedisArgument(runner), RedisArgument(runnerCap), RedisArgument(globalCap),
          RedisArgument(options.lease.milliseconds), RedisArgument(token), RedisArgument(makeID()),
        ] + pools.map { RedisArgument($0.rawValue) })
      let fields = reply.array ?? []
      let refusal = Refusal(
        pools: Set(fields.dropFirst(2).compactMap { $0.string.flatMap(Pool.init) }),
        lastResume: fields.count > 1 ? fields[1].string : nil)
      let word = fields.first?.string
      if word == "EMPTY" || word == "PAUSED" { refused.withLock { $0 = refusal } }
      switch word {
      case "EMPTY": return .empty
      case "FULL": return .full
      case "PAUSED": return .paused
      case "OK" where fields.count == 7:
        guard let id = fields[1].string, let pool = fields[2].string.flatMap(Pool.init), let raw = fields[3].bytes,
          let attempt = fields[4].integer, let agent = fields[5].string, let others = fields[6].array
        else { throw unexpected("claim", reply) }
        do {
          let item = try read(raw, pool, of: agent)
          var lease = Lease(activationID: id, token: token, pool: pool, item: item, raw: raw, attempt: attempt)
          for index in stride(from: 0, to: others.count - 1, by: 2) {
            guard let other = others[index].string, let raw = others[index + 1].bytes else {
              throw unexpected("claim", reply)
            }
            try await merge(MergedItem(id: other, raw: raw), into: &lease)
          }
          return .claimed(lease)
        } catch let problem as WorkItemError {
          // Lua's reader is the laxer one (invalid UTF-8, a time that is none).
          _ = try await end(id, token, "dead", reason: problem.description)
        } catch let error as RedisError {
          throw error
        } catch {
          throw unexpected("claim", reply)
        }
      default: throw unexpected("claim", reply)
      }
    }
  }

  private func read(_ raw: [UInt8], _ pool: Pool, of agent: String) throws(WorkItemError) -> WorkItem {
    let item = try WorkItem(parsing: raw, pool: pool)
    guard item.agentID == agent else { throw WorkItemError("'agent_id' is there more than once") }
    return item
  }

  /// One that can't be read goes to the dead letters by itself.
  private func merge(_ other: MergedItem, into lease: inout Lease) async throws(RedisError) {
    do {
      lease.item.merge(try read(other.raw, lease.pool, of: lease.item.agentID))
      lease.merged.append(other)
    } catch {
      _ = try await connection.script(
        Scripts.reject,
        arguments: [
          RedisArgument(lease.activationID), RedisArgument(lease.token), RedisArgument(other.id),
          RedisArgument(error.description),
        ])
    }
  }

  /// Keeps the lease for another `options.lease`; call it at a third of that. False: it is somebody else's now, stop working.
  /// - Parameter state: how far the activation is, for whoever looks (`running`).
  public func beat(_ lease: Lease, _ state: LiveState? = nil) async throws(RedisError) -> Bool {
    try await connection.script(
      Scripts.beat,
      arguments: [
        RedisArgument(lease.activationID), RedisArgument(lease.token), RedisArgument(options.lease.milliseconds),
      ] + (state?.arguments ?? [])
    ).integer == 1
  }

  /// Ends the activation. False: the token is stale, somebody else has it, and nothing was changed. Goes on trying for
  /// `options.finishPatience` while Redis is away; a call whose reply was lost may be made again.
  @discardableResult
  public func finish(_ lease: Lease, _ outcome: FinishOutcome) async throws(RedisError) -> Bool {
    switch outcome {
    case .done: try await end(lease.activationID, lease.token, "done")
    case .delivering(let delay): try await end(lease.activationID, lease.token, "deliver", delay: delay)
    case .retry(let reason, let delay):
      try await end(lease.activationID, lease.token, "retry", reason: reason, delay: delay)
    case .deferred(let reason, let delay):
      try await end(lease.activationID, lease.token, "defer", reason: reason, delay: delay)
    case .dead(let reason): try await end(lease.activationID, lease.token, "dead", reason: reason)
    }
  }

  /// Gives the item back to the head of its list, for a runner that shuts down: the attempt does not count.
  @discardableResult
  public func release(_ lease: Lease) async throws(RedisError) -> Bool {
    try await end(lease.activationID, lease.token, "release")
  }

  /// Waits, after a claim that gave nothing, until another may give something, or `limit` has passed: after `.empty` for the
  /// head of one of the lists, after `.full` for the end of some activation, and where something was paused for a `resume`. Waking
  /// up promises nothing: claim again.
  /// One task at a time may wait after `.full`.
  /// - Returns: false after `limit`. Ends at once with `.cancelled` when its task is cancelled.
  @discardableResult
  public func wait(
    after outcome: ClaimOutcome, pools: [Pool], atMost limit: Duration
  ) async throws(RedisError) -> Bool {
    switch outcome {
    case .claimed: return true
    case .empty:
      let refusal = refused.withLock { $0 }
      // A paused pool's list may be full of work that nobody may take: it would wake us at once, for ever.
      return try await room.wait(
        forHeadOf: pools.filter { !refusal.pools.contains($0) }.map(\.list), orResumeAfter: refusal.lastResume,
        atMost: limit)
    case .paused:
      let lastResume = refused.withLock { $0.lastResume }
      return try await room.wait(forHeadOf: [], orResumeAfter: lastResume ?? "$", atMost: limit)
    case .full: return try await room.waitForBell(atMost: limit)
    }
  }

  // MARK: Anyone's

  /// What a recovery put back.
  public struct Recovery: Sendable, Hashable {
    /// Items whose lease had expired, at the head of their list again.
    public var expired: Int
    /// Retries that were due.
    public var retried: Int
    /// Items whose last attempt this was.
    public var dead: Int
    /// Makes one.
    public init(expired: Int, retried: Int, dead: Int) {
      self.expired = expired
      self.retried = retried
      self.dead = dead
    }
  }

  /// Puts back what nobody works on any more. Coordinators call it every two seconds and all runners together every second; a second
  /// call finds nothing to do. At most 100 items of each kind a call. A server that has just started is made to write its
  /// append-only file anew first (`LogRewrite.swift`).
  @discardableResult
  public func recover() async throws(RedisError) -> Recovery {
    let reply = try await connection.script(
      Scripts.recover,
      arguments: [RedisArgument(options.maxAttempts), 100, RedisArgument(options.lease.milliseconds)],
      whenUnknown: { () throws(RedisError) in try await rewriteLog() })
    guard let counts = reply.array?.map(\.integer), counts.count == 3, let expired = counts[0], let retried = counts[1],
      let dead = counts[2]
    else { throw unexpected("recover", reply) }
    return Recovery(expired: expired, retried: retried, dead: dead)
  }

  private func end(
    _ id: String, _ token: String, _ outcome: String, reason: String = "", delay: Duration = .zero
  ) async throws(RedisError) -> Bool {
    let giveUp = ContinuousClock.now + options.finishPatience
    while true {
      do {
        let reply = try await connection.script(
          Scripts.finish,
          arguments: [
            RedisArgument(id), RedisArgument(token), RedisArgument(outcome), RedisArgument(reason),
            RedisArgument(delay.milliseconds), RedisArgument(options.maxAttempts),
            RedisArgument(options.failuresBeforeRest), RedisArgument(options.rest.milliseconds),
          ])
        return reply.string != "stale"
      } catch {
        guard error.isWorthPatience, ContinuousClock.now < giveUp else { throw error }
        do { try await Task.sleep(for: .milliseconds(100)) } catch is CancellationError { throw error } catch {
          continue
        }
      }
    }
  }

  func unexpected(_ operation: String, _ reply: RedisValue) -> RedisError {
    RedisError(kind: .unexpected, operation: operation, endpoint: url.endpoint, reason: "\(reply)")
  }
}

extension Duration {
  /// Whole milliseconds, rounded down; what would not fit is held at about 300,000 years.
  var milliseconds: Int {
    let (seconds, attoseconds) = components
    let limit: Int64 = 10_000_000_000_000
    return Int(min(max(seconds, -limit), limit)) * 1000 + Int(attoseconds / 1_000_000_000_000_000)
  }
}
