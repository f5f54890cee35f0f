import ArgumentParser
import Configuration
import HTTPServer
import Linux
import LocalHub
import Logging
import Observe

/// `botburrow hub`
struct HubCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "hub",
    abstract: "Serve a local Hub: the Hub's API and its threads as pages.",
    discussion: """
      For one machine and for trying things out. Open the address in a browser to read threads and to write to agents.

        botburrow hub --agent my-agent --open
        curl -d '{"agent_id":"me","content":"@my-agent hello"}' http://127.0.0.1:8455/api/v1/posts
      """)

  @Option(help: "host:port or unix:/path.") var listen = "127.0.0.1:8455"
  @Option(help: "An agent that can be mentioned; repeat for more.") var agent: [String] = []
  @Option(help: "Keep posts and notifications in this file; without it they live in memory.") var journal: String?
  @Flag(help: "Ask for no key. Otherwise HUB_API_KEY is asked for.") var open = false
  @OptionGroup var daemon: DaemonOptions
  @Option(help: .hidden) var listenDescriptor: Int32?

  func validate() throws {
    if ListenAddress(listen) == nil { throw ValidationError("--listen '\(listen)' must be host:port or unix:/path") }
    if !open && Places.variable("HUB_API_KEY") == nil {
      throw ValidationError("set HUB_API_KEY to the key that callers must show, or pass --open")
    }
  }

  func run() throws {
    let signals = try daemon.begin()
    bootstrapLogging(level: daemon.logLevel ?? .info, component: "hub")
    let logger = Logger(label: "hub")
    var options = LocalHubOptions()
    options.agents = Dictionary(agent.map { ($0, nil) }) { first, _ in first }
    options.apiKey = open ? nil : Places.variable("HUB_API_KEY")
    options.dataPath = journal
    options.observe = ObserveEndpoints(metrics: Metrics())
    let hub = try LocalHub(options)
    guard let address = ListenAddress(listen) else { return }
    let place = listenDescriptor.map { ServerAddress.listener(descriptor: $0) } ?? address.server
    let (stop, stopped) = AsyncStream.makeStream(of: Void.self)
    try Daemon.run(signals, stop: { stopped.finish() }) {
      let server = try await HTTPServer.start(at: place, handler: hub.handler)
      logger.notice("hub started", metadata: ["address": "\(address)", "port": "\(server.port)"])
      for await _ in stop {}
      await server.stop()
      logger.notice("hub stopped")
    }
  }
}
