import Agents
import ArgumentParser
import Configuration
import Gateway
import Glibc
import HTTPClient
import Linux
import Logging
import ModelGateway
import Observe
import Runner
import Sandbox
import Work

/// `botburrow runner`
struct RunnerCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "runner",
    abstract: "Claim work of one pool, run it in sandboxes, post the answers.",
    discussion: """
      Needs no privilege: sandboxes are made by the supervisor of this host. On TERM it takes no more work, lets what \
      runs finish for --grace seconds, and gives the rest back.
      """)

  @Option(help: "notification, exploration or hybrid.") var pool: Pool
  @Option(help: "The how-manieth runner of its pool on this host, from 1; names its metrics address.") var instance = 1
  @Option(help: "Seconds that running activations have after TERM.") var grace = 30
  @OptionGroup var settings: SettingsOptions
  @OptionGroup var daemon: DaemonOptions

  func run() throws {
    let configuration = try settings.load()
    let signals = try daemon.begin()
    bootstrapLogging(level: daemon.logLevel ?? configuration.level, component: "runner")
    let logger = Logger(label: "runner")
    let metrics = Metrics()
    let queueOptions = configuration.queueOptions
    let queue = WorkQueue(try configuration.makeRedisURL(for: "the runner"), options: queueOptions)
    let services = try configuration.makeServices(
      for: "the runner", metrics: metrics, logger: logger, keepsReceipts: true)
    var options = RunnerService.Options(
      pool: pool, maxActivations: configuration.runners[pool.rawValue]?.maxActivations ?? 10,
      globalCap: configuration.coordinator.maxConcurrentActivations,
      // In containers names and process ids come back; a pause or a lease of the last one is not this one's.
      runnerID: "\(Host.name)-\(pool.rawValue)-\(getpid())-\(String(UInt16.random(in: .min ... .max), radix: 36))")
    (options.host, options.pid, options.version) = (Host.name, Int(getpid()), Botburrow.configuration.version)
    let service = RunnerService(queue: queue, services: services, options: options)
    let address =
      daemon.metrics.flatMap { ListenAddress($0) }
      ?? configuration.metrics.runner(
        pool: Configuration.Pool(rawValue: pool.rawValue) ?? .hybrid, instance: instance)
    let endpoints = ObserveEndpoints(
      metrics: metrics,
      notReady: {
        if service.isStopping { return "stopping: no more work is taken" }
        return service.reachesQueue ? nil : "the queue at \(queue.url.endpoint) has not answered yet"
      }, cache: configuration.makeCacheEndpoint(queue, metrics))
    let grace = Duration.seconds(grace)
    try Daemon.run(signals, stop: { await service.stop(grace: grace) }) {
      let server = try await Daemon.observe(address, endpoints)
      logger.notice("runner started", metadata: ["pool": "\(pool.rawValue)", "metrics": "\(address)"])
      let news = Task {
        await Daemon.followInvalidations(queue, metrics, logger) { services.definitions.invalidate($0) }
      }
      await service.run()
      news.cancel()
      await news.value
      await server?.stop(grace: .zero)
      queue.close()
      logger.notice("runner stopped")
    }
  }
}

extension Pool: ExpressibleByArgument {}

/// This machine.
enum Host {
  static let name: String = {
    var buffer = [CChar](repeating: 0, count: 256)
    gethostname(&buffer, 255)
    return String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }()
}

extension Configuration {
  /// The queue's share of the settings.
  var queueOptions: WorkQueue.Options {
    var options = WorkQueue.Options()
    options.lease = work.lease
    options.maxAttempts = work.maxAttempts
    return options
  }

  /// Everything outside that an activation touches.
  func makeServices(
    for command: String, metrics: Observe.Metrics, logger: Logger, keepsReceipts: Bool, watcher: Watcher? = nil
  ) throws -> RunnerServices {
    let transport = HTTPClient(userAgent: "botburrow-runner")
    let definitions = CachingSource(try makeDefinitions(for: command, transport)) { agent, problem in
      metrics.increment("botburrow_definition_errors_total", [("agent", agent)])
      logger.error(
        "new definition is broken; the last good one stays in use",
        metadata: ["agent_id": "\(agent)", "problem": "\(problem)"])
    }
    var services = RunnerServices(
      hub: try makeHub(for: command, transport, logger), definitions: definitions,
      launcher: SupervisorLauncher(
        socket: supervisor.socket, onErrorOutput: watcher?.seeBytes),
      receipts: keepsReceipts ? ReceiptFolder(path: receiptsDirectory) : nil, metrics: metrics, logger: logger,
      time: RunnerTime(wallClock: { Timestamp.seconds }), policy: RunnerPolicy(activation))
    if !providers.isEmpty {
      var audit = ModelAudit(logger: logger, metrics: metrics)
      if let watcher { audit = audit.and { watcher.see(.model(ModelCallSeen($0))) } }
      services.models = ModelProviders(providers, audit: audit, metrics: metrics)
    }
    services.watch = watcher?.seeEvent
    services.tools.files = try OperatorFiles(mcp)
    services.tools.secrets = SecretStore(directory: mcp.secretsDirectory, environment: SettingsOptions.environment())
    services.tools.profile = mcp.profile
    services.tools.attacher = SupervisorLauncher(socket: supervisor.socket)
    services.tools.transport = transport
    return services
  }
}

extension Timestamp {
  /// Seconds since 1970.
  static var seconds: Double { Double(now()) / 1e6 }
}
