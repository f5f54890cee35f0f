/// `config/coordinator.yaml`, checked. Every key is explained in `docs/configuration.md`.
public struct Configuration: Sendable, Hashable {
  /// When agents are activated.
  public struct Coordinator: Sendable, Hashable {
    /// Time between two looks at the Hub's notifications.
    public var pollInterval: Duration = .seconds(30)
    /// An agent that was last activated longer ago than this gets a turn to explore.
    public var staleThreshold: Duration = .seconds(4 * 3600)
    /// Activations under way at once, over all runners of all hosts.
    public var maxConcurrentActivations = 50
    /// An activation in which nothing happens for so long is told of as stuck.
    public var stuckAfter: Duration = .seconds(120)
    /// The defaults.
    public init() {}
  }
  /// One kind of runner.
  public struct RunnerPool: Sendable, Hashable {
    /// Runner processes that the pool should have, over all hosts; whoever starts them reads it. `botburrow up` starts one.
    public var replicas: Int
    /// Per runner process.
    public var maxActivations: Int
    /// A pool of that many runners.
    public init(replicas: Int = 1, maxActivations: Int = 10) {
      self.replicas = replicas
      self.maxActivations = maxActivations
    }
  }
  /// The Hub that this system serves.
  public struct Hub: Sendable, Hashable {
    /// Begins with `http://` or `https://`, without a slash at the end.
    public var url: String
    /// Secret.
    public var apiKey: String
    /// A Hub at an address with its key.
    public init(url: String, apiKey: String) {
      self.url = url
      self.apiKey = apiKey
    }
  }
  /// Where agent definitions are: a bucket or a directory with the same layout.
  public enum Definitions: Sendable, Hashable {
    /// An S3 bucket addressed by path; `secretAccessKey` is secret.
    case bucket(name: String, endpoint: String, accessKeyID: String, secretAccessKey: String, region: String)
    /// A local directory.
    case directory(String)
  }
  /// Where the supervisor of this host is found; it reads no configuration itself, for it must hold no secret.
  public struct Supervisor: Sendable, Hashable {
    /// Path of the Unix socket that runners ask on.
    public var socket = "/run/botburrow/supervisor.sock"
    /// The defaults.
    public init() {}
  }
  /// Where the operator says which tool servers there are and who may use them.
  public struct MCP: Sendable, Hashable {
    /// The catalogue of servers, a file that must be there; nil: `mcp-servers.yaml` beside the configuration file, if it is
    /// there.
    public var servers: String?
    /// Which grants of definitions hold, likewise; nil: `permissions.yaml`.
    public var permissions: String?
    /// Directory of the servers' secrets, `<server>.env` each; nil: `secrets`.
    public var secrets: String?
    /// The configuration file's own directory.
    public var directory = "/etc/botburrow"
    /// The sandbox profile of servers that name none.
    public var profile = "sidecar"
    /// The defaults.
    public init() {}
    /// Where the secrets are.
    public var secretsDirectory: String { secrets ?? "\(directory)/secrets" }
  }
  /// How claimed work is kept safe.
  public struct Work: Sendable, Hashable {
    /// A claim that isn't renewed for this long returns to its list.
    public var lease: Duration = .seconds(15)
    /// After so many failed attempts an item goes to the dead-letter list.
    public var maxAttempts = 5
    /// The defaults.
    public init() {}
  }
  /// What one activation may use.
  public struct Activation: Sendable, Hashable {
    /// Wall-clock limit; an agent's own definition may only shorten it.
    public var timeout: Duration = .seconds(300)
    /// Bytes of the agent's standard output that are kept.
    public var maxOutputBytes = 1 << 20
    /// Model tokens, input and output together; 0 for no limit.
    public var maxTokens = 100_000
    /// The defaults.
    public init() {}
  }
  /// Where daemons serve `/metrics`, `/healthz` and `/readyz`.
  public struct Metrics: Sendable, Hashable {
    /// The coordinator.
    public var coordinator = ListenAddress.tcp(host: "127.0.0.1", port: 9101)
    /// By pool: the address of the pool's first runner; see `runner(pool:instance:)` for the others.
    public var runners: [Pool: ListenAddress] = [
      .notification: .tcp(host: "127.0.0.1", port: 9110), .exploration: .tcp(host: "127.0.0.1", port: 9130),
      .hybrid: .tcp(host: "127.0.0.1", port: 9150),
    ]
    /// The defaults.
    public init() {}

    /// Where the runner number `instance` (from 1) of a pool listens: each on the port after the one before it, or on a
    /// socket with its number before the extension.
    public func runner(pool: Pool, instance: Int) -> ListenAddress {
      (runners[pool] ?? .tcp(host: "127.0.0.1", port: 0)).instance(instance)
    }
  }
  /// The three lists that work waits in.
  public enum Pool: String, Sendable, Hashable, CaseIterable {
    /// Answers notifications.
    case notification
    /// Looks for new content.
    case exploration
    /// Either.
    case hybrid
  }
  /// Severities of log records, in swift-log's words.
  public enum LogLevel: String, Sendable, Hashable, CaseIterable {
    /// From chattiest to most severe.
    case trace, debug, info, notice, warning, error, critical
  }

  /// When agents are activated.
  public var coordinator = Coordinator()
  /// By pool name: notification, exploration, hybrid. Pools that the file leaves out aren't here.
  public var runners: [String: RunnerPool] = [:]
  /// `redis://…`, `unix://…`, `redis-sentinel://…`; nil when the file gives none (`up` starts its own). May hold a password.
  public var redisURL: String?
  /// The Hub; nil when the file names none.
  public var hub: Hub?
  /// Where agent definitions are; nil when the file doesn't say.
  public var definitions: Definitions?
  /// The part that runs sandboxes.
  public var supervisor = Supervisor()
  /// Tool servers and who may use them.
  public var mcp = MCP()
  /// How claimed work is kept safe.
  public var work = Work()
  /// What one activation may use.
  public var activation = Activation()
  /// Providers of models, by name. An agent without one of these can't reach a model.
  public var providers: [String: ModelProvider] = [:]
  /// Secret: what callers of `POST /api/v1/cache/invalidate` must show; nil: nobody may call.
  public var cacheToken: String?
  /// Where daemons serve metrics and health.
  public var metrics = Metrics()
  /// Records below this severity are not written.
  public var logLevel = LogLevel.info
  /// Directory that holds a JSON file for each activation.
  public var receiptsDirectory = "/var/lib/botburrow/receipts"
  /// Everything at its default: no Hub, no Redis, no definitions.
  public init() {}
}
