import ArgumentParser
import Configuration
import Coordinator
import HTTPClient
import Linux
import Logging
import Observe
import Work

/// `botburrow coordinator`
struct CoordinatorCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "coordinator",
    abstract: "Poll the Hub and queue work for the runners.",
    discussion: """
      Start two or more for availability: one leads (a lock in Redis), the others wait and take over: at \
      once when it ends in order, within 13 s when it dies. \
      The coordinator starts no process and holds no lock on work: runners go on without it.
      """)

  @OptionGroup var settings: SettingsOptions
  @OptionGroup var daemon: DaemonOptions

  func run() throws {
    let configuration = try settings.load()
    let signals = try daemon.begin()
    bootstrapLogging(level: daemon.logLevel ?? configuration.level, component: "coordinator")
    let logger = Logger(label: "coordinator")
    let metrics = Metrics()
    let transport = HTTPClient(userAgent: "botburrow-coordinator")
    let queue = WorkQueue(
      try configuration.makeRedisURL(for: "the coordinator"), options: configuration.queueOptions)
    let service = CoordinatorService(
      configuration: configuration, queue: queue,
      hub: try configuration.makeHub(for: "the coordinator", transport, logger),
      definitions: try configuration.makeDefinitions(for: "the coordinator", transport), metrics: metrics,
      logger: logger)
    let address = daemon.metrics.flatMap { ListenAddress($0) } ?? configuration.metrics.coordinator
    let endpoints = ObserveEndpoints(
      metrics: metrics, notReady: { service.redisTrouble }, cache: configuration.makeCacheEndpoint(queue, metrics))
    let stopped = StopSwitch()
    try Daemon.run(signals, stop: { await stopped.stop() }) {
      let server = try await Daemon.observe(address, endpoints)
      logger.notice("coordinator started", metadata: ["metrics": "\(address)"])
      let news = Task {
        await Daemon.followInvalidations(queue, metrics, logger) { await service.invalidate($0) }
      }
      await stopped.run { await service.run() }
      news.cancel()
      await news.value
      await server?.stop(grace: .zero)
      queue.close()
      logger.notice("coordinator stopped")
    }
  }
}
