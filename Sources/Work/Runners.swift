import Redis

/// A runner process, as it tells of itself.
public struct RunnerIdentity: Sendable, Hashable {
  /// What no other runner process has; the one that it claims with.
  public var id: String
  /// The pool it belongs to; `pool.served` are the lists that it takes work from.
  public var pool: Pool
  /// Activations that it runs at once, at most.
  public var slots: Int
  /// Its host's name.
  public var host: String
  /// Its process id there.
  public var pid: Int
  /// Of the program.
  public var version: String
  /// Makes one.
  public init(id: String, pool: Pool, slots: Int, host: String, pid: Int, version: String) {
    self.id = id
    self.pool = pool
    self.slots = slots
    self.host = host
    self.pid = pid
    self.version = version
  }
}

/// Whether a runner process is there.
public enum RunnerState: String, Sendable, Hashable {
  /// It takes work.
  case serving
  /// An operator paused it: it brings to an end what it has, and takes none until it is resumed.
  case paused
  /// It was told to end: it takes none, and brings to an end what it has.
  case stopping
  /// It was not heard of any more, and did not say goodbye.
  case lost
}

/// A runner process, as the registry has it.
public struct RunnerEntry: Sendable, Hashable {
  /// What it said of itself.
  public var identity: RunnerIdentity
  /// Whether it is there.
  public var state: RunnerState
  /// Activations under its lease now.
  public var running: Int
  /// Seconds since 1970, by the server's clock.
  public var started: Double
  /// Seconds since 1970, by the server's clock.
  public var lastSeen: Double
  /// Makes one.
  public init(identity: RunnerIdentity, state: RunnerState, running: Int, started: Double, lastSeen: Double) {
    self.identity = identity
    self.state = state
    self.running = running
    self.started = started
    self.lastSeen = lastSeen
  }
}

/// Runner processes at one moment.
public struct RunnerList: Sendable, Hashable {
  /// The server's time, seconds since 1970.
  public var now: Double
  /// Those that are there, and those that were lost within the last ten minutes; by pool, host and id.
  public var runners: [RunnerEntry]
  /// A list as given.
  public init(now: Double, runners: [RunnerEntry]) {
    self.now = now
    self.runners = runners
  }
}

/// What a runner hears when it says that it is there.
public struct RunnerPresence: Sendable, Hashable {
  /// It was not known, or had lapsed.
  public var isNew: Bool
  /// Runner processes that are there now, itself among them.
  public var runners: Int
  /// As given.
  public init(isNew: Bool, runners: Int) {
    self.isNew = isNew
    self.runners = runners
  }
}

extension WorkQueue {
  /// Says that a runner process is there; call it at a third of `options.runnerExpiry`.
  /// - Parameters:
  ///   - up: for how long it has run, by its own clock.
  ///   - isStopping: it takes no more work.
  @discardableResult
  public func register(
    _ runner: RunnerIdentity, up: Duration, isStopping: Bool = false
  ) async throws(RedisError) -> RunnerPresence {
    let state = isStopping ? RunnerState.stopping : .serving
    let reply = try await connection.script(
      Scripts.runnerBeat,
      arguments: [
        RedisArgument(runner.id), RedisArgument(options.runnerExpiry.milliseconds), RedisArgument(up.milliseconds),
        RedisArgument(state.rawValue), RedisArgument(runner.pool.rawValue), RedisArgument(runner.slots),
        RedisArgument(runner.host), RedisArgument(runner.pid), RedisArgument(runner.version),
      ])
    guard let fields = reply.array?.map(\.integer), fields.count == 2, let isNew = fields[0], let runners = fields[1]
    else { throw unexpected("register", reply) }
    return RunnerPresence(isNew: isNew == 1, runners: runners)
  }

  /// Takes a runner process off the list, because it ends in order.
  /// - Returns: false where it was not on it.
  @discardableResult
  public func unregister(_ runnerID: String) async throws(RedisError) -> Bool {
    try await connection.script(Scripts.runnerGone, arguments: [RedisArgument(runnerID)]).integer == 1
  }

  /// Runner processes that are there, and those that were lost within the last ten minutes.
  public func runners() async throws(RedisError) -> RunnerList {
    let reply = try await connection.script(Scripts.runners)
    guard let rows = reply.array, let now = rows.first?.integer else { throw unexpected("runners", reply) }
    var list = RunnerList(now: Double(now) / 1000, runners: [])
    for row in rows.dropFirst() {
      guard let fields = row.array, fields.count == 10, let id = fields[0].string else {
        throw unexpected("runners", reply)
      }
      // One of another version may belong to a pool that we don't know.
      guard let state = fields[1].string.flatMap(RunnerState.init), let pool = fields[2].string.flatMap(Pool.init)
      else {
        continue
      }
      list.runners.append(
        RunnerEntry(
          identity: RunnerIdentity(
            id: id, pool: pool, slots: fields[3].integer ?? 0, host: fields[5].string ?? "",
            pid: fields[6].integer ?? 0, version: fields[7].string ?? ""),
          state: state, running: fields[4].integer ?? 0, started: Double(fields[8].integer ?? 0) / 1000,
          lastSeen: Double(fields[9].integer ?? 0) / 1000))
    }
    list.runners.sort {
      ($0.identity.pool.rawValue, $0.identity.host, $0.identity.id)
        < ($1.identity.pool.rawValue, $1.identity.host, $1.identity.id)
    }
    return list
  }
}
