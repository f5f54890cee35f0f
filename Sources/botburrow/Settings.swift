import Agents
import ArgumentParser
import Bucket
import Configuration
import Glibc
import HTTPClient
import Hub
import Logging
import Redis

/// Where the configuration comes from: a file, with options on top.
struct SettingsOptions: ParsableArguments {
  @Option(name: .shortAndLong, help: "The configuration file.") var config: String?
  @Option(
    help:
      "Redis: redis://host:port/db, unix:///path or redis-sentinel://host:port/name; instead of the file's redis.url.")
  var redis: String?
  @Option(help: "The Hub's URL; instead of the file's hub.url. Its key is in HUB_API_KEY.") var hub: String?
  @Option(help: "Directory of agent definitions; instead of the file's r2 or definitions.") var agents: String?
  @Option(help: "The supervisor's socket; instead of the file's supervisor.socket.") var socket: String?
  @Option(help: "Directory of receipts; instead of the file's receipts.directory.") var receipts: String?
  @Option(help: "Time between two polls of the Hub, such as 1s; instead of the file's coordinator.poll_interval.")
  var pollInterval: String?

  static let standardPath = "/etc/botburrow/coordinator.yaml"

  /// The file's settings with the options' on top. No file is needed where the options say enough.
  func load() throws -> Configuration {
    var configuration = try Self.file(config)
    if let redis { configuration.redisURL = redis }
    if let hub {
      configuration.hub = Configuration.Hub(url: hub, apiKey: Places.variable("HUB_API_KEY") ?? "")
    }
    if let agents { configuration.definitions = .directory(agents) }
    if let socket { configuration.supervisor.socket = socket }
    if let receipts { configuration.receiptsDirectory = receipts }
    if let pollInterval { configuration.coordinator.pollInterval = try Self.duration(pollInterval) }
    return configuration
  }

  /// The file that was named, or the standard one; without either, what holds where nothing is said.
  static func file(_ config: String?, parts: Set<String>? = nil) throws -> Configuration {
    guard let path = config ?? (access(standardPath, F_OK) == 0 ? standardPath : nil) else { return Configuration() }
    return try Configuration.load(path: path, environment: environment(), parts: parts)
  }

  /// Reads a duration as the configuration file does.
  private static func duration(_ text: String) throws -> Duration {
    let file = "coordinator:\n  poll_interval: \(text)\n"
    do {
      return try Configuration.parse(Array(file.utf8), file: "--poll-interval", environment: [:]).coordinator
        .pollInterval
    } catch { throw ValidationError("\(error)") }
  }

  /// This process's environment.
  static func environment() -> [String: String] {
    var variables: [String: String] = [:]
    var entry = environ
    while let text = entry.pointee {
      let parts = String(cString: text).split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      if parts.count == 2 { variables[String(parts[0])] = String(parts[1]) }
      entry += 1
    }
    return variables
  }
}

extension Configuration {
  /// The Hub's client for one daemon.
  func makeHub(for command: String, _ transport: HTTPClient, _ logger: Logger) throws -> HubClient {
    let hub = try requireHub(for: command)
    return HubClient(
      url: hub.url, apiKey: hub.apiKey.isEmpty ? nil : hub.apiKey, transport: transport,
      onUnreadable: { sentence in
        logger.warning("unreadable answer of the Hub", metadata: ["problem": "\(sentence)"])
      })
  }

  /// Where definitions are.
  func makeDefinitions(for command: String, _ transport: HTTPClient) throws -> any DefinitionSource {
    switch try requireDefinitions(for: command) {
    case .directory(let path): return DirectorySource(path)
    case .bucket(let name, let endpoint, let accessKeyID, let secretAccessKey, let region):
      return BucketSource(
        bucket: name, endpoint: endpoint, accessKeyID: accessKeyID, secretAccessKey: secretAccessKey, region: region,
        transport: transport)
    }
  }

  /// Parses the Redis URL.
  func makeRedisURL(for command: String) throws -> RedisURL { try RedisURL(try requireRedis(for: command)) }

  /// swift-log's word for the file's.
  var level: Logger.Level { Logger.Level(rawValue: logLevel.rawValue) ?? .info }
}
