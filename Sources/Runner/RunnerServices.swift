import Agents
import Configuration
import Hub
import Logging
import ModelGateway
import Observe
import Sandbox

/// Time as the runner sees it; what tests replace.
public struct RunnerTime: Sendable {
  /// A clock that only goes forward, for durations.
  public var now: @Sendable () -> ContinuousClock.Instant
  /// Seconds since 1970, for records.
  public var wallClock: @Sendable () -> Double
  /// Waits; throws `CancellationError` when the task is cancelled.
  public var sleep: @Sendable (Duration) async throws -> Void

  /// Makes a source of time.
  public init(
    now: @escaping @Sendable () -> ContinuousClock.Instant = { ContinuousClock.now },
    wallClock: @escaping @Sendable () -> Double,
    sleep: @escaping @Sendable (Duration) async throws -> Void = { try await Task.sleep(for: $0) }
  ) {
    self.now = now
    self.wallClock = wallClock
    self.sleep = sleep
  }
}

/// Everything outside that an activation touches.
public struct RunnerServices: Sendable {
  /// The Hub, with its key.
  public var hub: any HubAPI
  /// Where agent definitions are.
  public var definitions: any DefinitionSource
  /// The supervisor.
  public var launcher: any SandboxLauncher
  /// Where receipts go; nil keeps none.
  public var receipts: ReceiptFolder?
  /// The model providers; nil where none is configured.
  public var models: ModelProviders?
  /// The seed's series and more.
  public var metrics: Metrics
  /// One line an activation, and what went wrong.
  public var logger: Logger
  /// Clocks.
  public var time: RunnerTime
  /// Chance for the wait before a retry, from 0 to 1.
  public var jitter: @Sendable () -> Double = { Double.random(in: 0...1) }
  /// A fresh secret of at least 128 bits, for one activation's gateways.
  public var makeToken: @Sendable () -> String
  /// Bounds and waits.
  public var policy: RunnerPolicy
  /// Sees what activations do as they do it; nil: nobody looks on. Called on any thread, and must not wait.
  public var watch: (@Sendable (WatchEvent) -> Void)?

  /// Tool servers beside the hub.
  public var tools = ToolServices()

  /// Puts them together.
  public init(
    hub: any HubAPI, definitions: any DefinitionSource, launcher: any SandboxLauncher, receipts: ReceiptFolder?,
    metrics: Metrics, logger: Logger, time: RunnerTime,
    makeToken: @escaping @Sendable () -> String = { freshToken() }, policy: RunnerPolicy = RunnerPolicy()
  ) {
    self.hub = hub
    self.definitions = definitions
    self.launcher = launcher
    self.receipts = receipts
    self.metrics = metrics
    self.logger = logger
    self.time = time
    self.makeToken = makeToken
    self.policy = policy
  }
}

/// The runner's bounds.
public struct RunnerPolicy: Sendable, Hashable {
  /// Bytes of standard output that are kept; an answer is a comment, not a file.
  public var outputLimit = 1 << 20
  /// The longest comment that is posted, in characters; the rest is cut with a note.
  public var answerLimit = 20_000
  /// Waits between tries of one call to the Hub while the lease is being kept; then the activation is tried again later.
  public var hubWaits: [Duration] = [.milliseconds(500), .seconds(1), .seconds(2)]
  /// How long a place is held while the Hub takes what is kept in the outbox; then whoever delivers goes on.
  public var deliveryPatience: Duration = .seconds(5)
  /// The longest `Retry-After` that is waited for in place: a place is held meanwhile.
  public var longestHubWait: Duration = .seconds(5)
  /// The TCP port of the `hub` MCP server inside every sandbox.
  public var hubPort: UInt16 = 8001
  /// The TCP port of the model gateway inside every sandbox whose agent has a model.
  public var modelPort: UInt16 = 8000
  /// Model tokens of one activation, input and output together; nil for no limit.
  public var maxTokens: Int? = 100_000
  /// How long a program has once nothing more comes from its model: some tools never take a no.
  public var modelGrace: Duration = .seconds(5)
  /// Posts of the feed that an exploration is shown.
  public var feedSize = 20

  /// The longest that an agent may run; its definition may say less.
  public var timeout: Duration?
  /// How much longer than its time limit a sandbox may take until we have it ended.
  public var supervisorGrace: Duration = .seconds(30)
  /// How long a receipt may take once we had its sandbox ended. A lease that is lost waits as long.
  public var receiptGrace: Duration = .seconds(5)

  /// How long we wait where a sandbox ended without a receipt, its supervisor being gone: the kernel ends it with its supervisor, a moment
  /// after we hear of that, and until then nobody else may run its agent.
  public var supervisorsEnd: Duration = .milliseconds(250)

  /// How long reading an agent's notes may take; without them it goes on.
  public var recallTimeout: Duration = .seconds(20)

  /// How long this agent may run, as far as the runner knows: its definition and `timeout` both count. Its profile may say
  /// less.
  public func timeout(of definition: AgentDefinition) -> Duration? {
    [definition.sandbox.timeout, timeout].compactMap { $0 }.min()
  }

  /// The standard bounds.
  public init() {}
  /// The bounds of the configuration file's `activation`.
  public init(_ activation: Configuration.Activation) {
    timeout = activation.timeout
    outputLimit = activation.maxOutputBytes
    maxTokens = activation.maxTokens == 0 ? nil : activation.maxTokens
  }
}

/// 256 random bits, hexadecimal, from the system's generator.
public func freshToken() -> String {
  var generator = SystemRandomNumberGenerator()
  return (0..<4).map { _ in
    let digits = String(generator.next() as UInt64, radix: 16)
    return String(repeating: "0", count: 16 - digits.count) + digits
  }.joined()
}
