import Redis

/// How far an activation is.
public enum ActivationStep: String, Sendable, Hashable, CaseIterable {
  /// Reads its definition, its inbox and its thread.
  case prepare
  /// Its sandbox is being made.
  case start
  /// Its program runs.
  case run
  /// The Hub is told its answer.
  case respond
  /// The Hub is told what a failed attempt used.
  case report
}

/// What a runner tells of an activation with a heartbeat. Durations, because the moments are the server's to count.
public struct LiveState: Sendable, Hashable {
  /// Where it is.
  public var step: ActivationStep
  /// For how long it has been there.
  public var inStep: Duration
  /// How long ago something happened: a step, a call of its model, of a tool.
  public var idle: Duration
  /// Model tokens so far, input and output together.
  public var tokens = 0
  /// Calls of its model that are over.
  public var modelCalls = 0
  /// How long its program may run; nil where nothing limits it, or it isn't known yet.
  public var timeLimit: Duration?
  /// Makes one.
  public init(step: ActivationStep, inStep: Duration, idle: Duration) {
    self.step = step
    self.inStep = inStep
    self.idle = idle
  }

  var arguments: [RedisArgument] {
    [
      RedisArgument(step.rawValue), RedisArgument(inStep.milliseconds), RedisArgument(idle.milliseconds),
      RedisArgument(tokens), RedisArgument(modelCalls), timeLimit.map { RedisArgument($0.milliseconds) } ?? "",
    ]
  }
}

/// An activation under a lease. Moments are seconds since 1970 by the server's clock.
public struct RunningActivation: Sendable, Hashable {
  /// The activation's id.
  public var id: String
  /// Who is activated.
  public var agentID: String
  /// Why.
  public var task: TaskType
  /// The list that it came from.
  public var pool: Pool?
  /// Who runs it.
  public var runner: String
  /// 0 at the first try.
  public var attempt = 0
  /// When it was claimed.
  public var claimed: Double
  /// When its lease ends, unless it is renewed.
  public var leaseEnd: Double
  /// Where it is; nil until its runner's first word of it, within a second or two.
  public var step: ActivationStep?
  /// When that began, and `claimed` while `step` is nil.
  public var stepSince: Double
  /// When something last happened in it, and `claimed` while nothing is known.
  public var lastActive: Double
  /// Model tokens so far.
  public var tokens = 0
  /// Calls of its model that are over.
  public var modelCalls = 0
  /// How long its program may run, in seconds; nil where nothing limits it, or it isn't known.
  public var timeLimit: Double?
  /// One of which no more than the claim is known.
  public init(
    id: String, agentID: String, task: TaskType, pool: Pool?, runner: String, claimed: Double, leaseEnd: Double
  ) {
    self.id = id
    self.agentID = agentID
    self.task = task
    self.pool = pool
    self.runner = runner
    self.claimed = claimed
    self.leaseEnd = leaseEnd
    stepSince = claimed
    lastActive = claimed
  }
}

/// What runs at one moment.
public struct RunningList: Sendable, Hashable {
  /// The server's time, seconds since 1970.
  public var now: Double
  /// The oldest claim first.
  public var activations: [RunningActivation]
  /// A list as given.
  public init(now: Double, activations: [RunningActivation]) {
    self.now = now
    self.activations = activations
  }
}

extension WorkQueue {
  /// How many are looked at, at most: a script holds up everybody else.
  static let mostRunning = 5000

  /// What runs now, or what of these ids does. At most 5,000.
  public func running(_ ids: [String] = []) async throws(RedisError) -> RunningList {
    let reply = try await connection.script(
      Scripts.running,
      arguments: [RedisArgument(Self.mostRunning)] + ids.prefix(Self.mostRunning).map { RedisArgument($0) })
    guard let rows = reply.array, let now = rows.first?.integer else { throw unexpected("running", reply) }
    var list = RunningList(now: Double(now) / 1000, activations: [])
    for row in rows.dropFirst() {
      guard let fields = row.array, fields.count == 14, let activation = RunningActivation(fields) else {
        throw unexpected("running", reply)
      }
      list.activations.append(activation)
    }
    list.activations.sort { ($0.claimed, $0.id) < ($1.claimed, $1.id) }
    return list
  }
}

extension RunningActivation {
  /// Of what the script answers.
  fileprivate init?(_ fields: [RedisValue]) {
    func moment(_ index: Int) -> Double? { fields[index].string.flatMap { Double($0) }.map { $0 / 1000 } }
    guard let id = fields[0].string, let agent = fields[1].string, let task = fields[2].string.flatMap(TaskType.init),
      let runner = fields[4].string, let claimed = moment(6), let leaseEnd = moment(7)
    else { return nil }
    self.init(
      id: id, agentID: agent, task: task, pool: fields[3].string.flatMap(Pool.init), runner: runner, claimed: claimed,
      leaseEnd: leaseEnd)
    attempt = fields[5].integer ?? 0
    step = fields[8].string.flatMap(ActivationStep.init)
    stepSince = moment(9) ?? claimed
    lastActive = moment(10) ?? claimed
    tokens = fields[11].integer ?? 0
    modelCalls = fields[12].integer ?? 0
    timeLimit = moment(13)
  }
}
