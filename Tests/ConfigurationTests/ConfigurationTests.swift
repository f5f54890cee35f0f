import Testing
import YAML

@testable import Configuration

private let environment = [
  "HUB_API_KEY": "key", "R2_ENDPOINT": "https://r2.example.com/", "R2_ACCESS_KEY_ID": "id",
  "R2_SECRET_ACCESS_KEY": "secret",
]

/// The exact text of what is wrong, or nothing.
private func messages(_ text: String, environment: [String: String] = environment) -> String? {
  do throws(YAMLErrors) {
    _ = try Configuration.parse(text.utf8, file: "config/coordinator.yaml", environment: environment)
    return nil
  } catch {
    return error.description
  }
}

/// The file as the architecture document gives it.
private let documented = """
  # config/coordinator.yaml
  coordinator:
    poll_interval: 30s
    stale_threshold: 4h
    max_concurrent_activations: 50

  runners:
    notification:
      replicas: 3
      max_activations: 10
    exploration:
      replicas: 2
      max_activations: 5
    hybrid:
      replicas: 5
      max_activations: 10

  redis:
    url: redis://valkey.botburrow-agents.svc:6379

  hub:
    url: https://hub.botburrow.example.com
    api_key: ${HUB_API_KEY}

  r2:
    bucket: botburrow-agents
    endpoint: ${R2_ENDPOINT}
  """

private func documentedConfiguration() -> Configuration {
  var expected = Configuration()
  expected.coordinator.pollInterval = .seconds(30)
  expected.coordinator.staleThreshold = .seconds(14400)
  expected.coordinator.maxConcurrentActivations = 50
  expected.runners = [
    "notification": .init(replicas: 3, maxActivations: 10), "exploration": .init(replicas: 2, maxActivations: 5),
    "hybrid": .init(replicas: 5, maxActivations: 10),
  ]
  expected.redisURL = "redis://valkey.botburrow-agents.svc:6379"
  expected.hub = .init(url: "https://hub.botburrow.example.com", apiKey: "key")
  expected.definitions = .bucket(
    name: "botburrow-agents", endpoint: "https://r2.example.com", accessKeyID: "id", secretAccessKey: "secret",
    region: "auto")
  return expected
}

@Suite struct ConfigurationTests {
  @Test func documentedFileLoads() throws {
    let configuration = try Configuration.parse(documented.utf8, file: "f", environment: environment)
    #expect(configuration == documentedConfiguration())
  }

  @Test func shippedFileSaysTheSame() throws {
    let path = shippedPath()
    var expected = documentedConfiguration()
    expected.mcp.directory = path.replacing("/coordinator.yaml", with: "")
    #expect(try Configuration.load(path: path, environment: environment) == expected)
  }

  @Test func exampleForOneMachineLoads() throws {
    let path = shippedPath().replacing("coordinator.yaml", with: "examples/local.yaml")
    let configuration = try Configuration.load(path: path, environment: ["HUB_API_KEY": "k"])
    #expect(configuration.definitions == .directory("config/examples/definitions"))
    #expect(configuration.redisURL == "unix:///run/botburrow/redis.sock")
  }

  /// The optional part of the shipped file, uncommented, loads too and says what the defaults are.
  @Test func commentedOutKeysAreTheDefaults() throws {
    let text = String(decoding: try readFile(shippedPath()), as: UTF8.self)
    let optional = try #require(text.firstRange(of: "# Everything below is optional"))
    let lines = text[optional.upperBound...].split(separator: "\n").dropFirst()
      // Keys are commented out with "# key:" or deeper; prose has no colon after its first word.
      .filter { $0.firstMatch(of: /^# +[a-z_]+:( |$)/) != nil }.map { $0.dropFirst(2) }
    #expect(lines.count == 20)
    let configuration = try Configuration.parse(
      lines.joined(separator: "\n").utf8, file: "f", environment: environment)
    #expect(configuration == Configuration())
  }

  @Test func emptyFileIsAllDefaults() throws {
    #expect(try Configuration.parse([], file: "f", environment: [:]) == Configuration())
  }

  @Test func everythingElseCanBeSet() throws {
    let text = """
      coordinator: {stuck_after: 90s}
      redis: {url: 'unix:///run/redis.sock'}
      definitions: {directory: /srv/agents}
      supervisor: {socket: /tmp/s}
      work: {lease: 3s, max_attempts: 2}
      mcp: {servers: s.yaml, permissions: /p.yaml, secrets: /run/secrets, profile: tools}
      activation: {timeout: 90s, max_output: 64k}
      metrics: {coordinator: '[::1]:1', hybrid: 'unix:/run/h.sock'}
      log: {level: debug}
      receipts: {directory: /tmp/r}
      x-team: burrow
      """
    let configuration = try Configuration.parse(text.utf8, file: "f", environment: [:])
    #expect(configuration.coordinator.stuckAfter == .seconds(90))
    #expect(configuration.redisURL == "unix:///run/redis.sock")
    #expect(configuration.definitions == .directory("/srv/agents"))
    #expect(configuration.supervisor.socket == "/tmp/s")
    #expect(configuration.mcp.servers == "s.yaml")
    #expect(configuration.mcp.permissions == "/p.yaml")
    #expect(configuration.mcp.secretsDirectory == "/run/secrets")
    #expect(configuration.mcp.profile == "tools")
    #expect(configuration.work.lease == .seconds(3))
    #expect(configuration.work.maxAttempts == 2)
    #expect(configuration.activation.timeout == .seconds(90))
    #expect(configuration.activation.maxOutputBytes == 65536)
    #expect(configuration.metrics.coordinator == .tcp(host: "::1", port: 1))
    #expect(configuration.metrics.runner(pool: .hybrid, instance: 1) == .unix(path: "/run/h.sock"))
    #expect(configuration.metrics.runner(pool: .hybrid, instance: 2) == .unix(path: "/run/h-2.sock"))
    #expect(configuration.metrics.runner(pool: .notification, instance: 3) == .tcp(host: "127.0.0.1", port: 9112))
    #expect(configuration.logLevel == .debug)
    #expect(configuration.receiptsDirectory == "/tmp/r")
  }

  @Test func credentialsInTheFileComeFirst() throws {
    let text = "r2: {bucket: b, endpoint: 'http://e', access_key_id: a, secret_access_key: s, region: us-east-1}"
    #expect(
      try Configuration.parse(text.utf8, file: "f", environment: environment).definitions
        == .bucket(name: "b", endpoint: "http://e", accessKeyID: "a", secretAccessKey: "s", region: "us-east-1"))
  }
}

private func shippedPath() -> String {
  "/" + #filePath.split(separator: "/").dropLast(3).joined(separator: "/") + "/config/coordinator.yaml"
}

@Suite struct ConfigurationErrorTests {
  @Test(arguments: [
    (
      "coordinator:\n  stale_threshold: 4h\n  pol_interval: 5s",
      "config/coordinator.yaml:3:3: unknown key 'pol_interval'; did you mean 'poll_interval'?"
    ),
    (
      "coordinator: {poll_interval: 30}",
      "config/coordinator.yaml:1:30: 'poll_interval' must be a duration such as 500ms, 30s or 1h30m; '30' has no unit"
    ),
    (
      "coordinator: {poll_interval: 2h}",
      "config/coordinator.yaml:1:30: 'poll_interval' must be between 100ms and 1h, not '2h'"
    ),
    (
      "coordinator: {stuck_after: 5s}",
      "config/coordinator.yaml:1:28: 'stuck_after' must be between 10s and 1d, not '5s'"
    ),
    (
      "coordinator: {max_concurrent_activations: 0}",
      "config/coordinator.yaml:1:43: 'max_concurrent_activations' must be a whole number between 1 and 100000, not '0'"
    ),
    (
      "runners: {hybird: {replicas: 1}}",
      "config/coordinator.yaml:1:11: unknown key 'hybird'; did you mean 'hybrid'?"
    ),
    (
      "runners: {gpu: {replicas: 1}}",
      "config/coordinator.yaml:1:11: unknown key 'gpu'; known here: exploration, hybrid, notification"
    ),
    (
      "runners: {hybrid: {replicas: many}}",
      "config/coordinator.yaml:1:30: 'replicas' must be a whole number between 0 and 1000, not 'many'"
    ),
    (
      "redis:\n  url: rediss://user:secret@h:6380",
      "config/coordinator.yaml:2:8: 'url' asks for TLS (rediss://), which isn't spoken here; run a stunnel on this host and write redis://127.0.0.1:PORT, or write unix:///PATH for a local socket"
    ),
    (
      "redis: {url: 'http://user:secret@h'}",
      "config/coordinator.yaml:1:14: 'url' must be redis://HOST:PORT, unix:///PATH or redis-sentinel://HOST:PORT,…/NAME"
    ),
    (
      "hub: {url: hub.example.com, api_key: k}",
      "config/coordinator.yaml:1:12: 'url' must be an http:// or https:// URL"
    ),
    ("hub: {api_key: k}", "config/coordinator.yaml:1:6: 'url' is missing in 'hub'"),
    ("hub: {url: 'http://h', api_key: ''}", "config/coordinator.yaml:1:33: 'api_key' must not be empty"),
    (
      "definitions: {directory: /d}\nr2: {bucket: b, endpoint: 'http://e'}",
      "config/coordinator.yaml:1:14: definitions come from 'definitions.directory' or from 'r2', not both; leave one out"
    ),
    (
      "supervisor: {socket: run/s.sock}",
      "config/coordinator.yaml:1:22: 'socket' must be a path that begins with /, not 'run/s.sock'"
    ),
    (
      "supervisor: {socket: /\(String(repeating: "s", count: 107))}",
      "config/coordinator.yaml:1:22: 'socket' must be at most 107 bytes long: the kernel's limit on a socket's path"
    ),
    ("work: {lease: 1ms}", "config/coordinator.yaml:1:15: 'lease' must be between 1s and 1h, not '1ms'"),
    (
      "activation: {max_output: 1}",
      "config/coordinator.yaml:1:26: 'max_output' must be between 1KiB and 1GiB, not '1'"
    ),
    (
      "metrics: {coordinator: 9101}",
      "config/coordinator.yaml:1:24: 'coordinator' must be HOST:PORT, [ADDRESS]:PORT or unix:/PATH, not '9101'"
    ),
    (
      "log: {level: loud}",
      "config/coordinator.yaml:1:14: 'level' must be one of trace, debug, info, notice, warning, error, critical, not 'loud'"
    ),
  ])
  func badValues(text: String, expected: String) {
    #expect(messages(text) == expected)
  }

  @Test func unsetVariables() {
    #expect(
      messages(documented, environment: ["R2_ENDPOINT": "http://r"]) == """
        config/coordinator.yaml:23:12: environment variable HUB_API_KEY is not set; export it or write ${HUB_API_KEY:-default}
        config/coordinator.yaml:26:3: 'access_key_id' is missing in 'r2' and R2_ACCESS_KEY_ID is not set in the environment; give one of them
        config/coordinator.yaml:26:3: 'secret_access_key' is missing in 'r2' and R2_SECRET_ACCESS_KEY is not set in the environment; give one of them
        """)
  }

  @Test func unreadableFile() {
    #expect(throws: ConfigurationError.unreadable(path: "/nowhere/c.yaml", errno: 2)) {
      try Configuration.load(path: "/nowhere/c.yaml", environment: [:])
    }
    #expect(
      ConfigurationError.unreadable(path: "/nowhere/c.yaml", errno: 2).description
        == "/nowhere/c.yaml can't be read: No such file or directory; name another file with --config")
  }

  @Test func missingParts() {
    let configuration = Configuration()
    let hub = #expect(throws: ConfigurationError.self) { try configuration.requireHub(for: "the coordinator") }
    #expect(
      hub?.description
        == "'hub' is missing in the configuration, and the coordinator needs it; give hub.url and hub.api_key")
    let redis = #expect(throws: ConfigurationError.self) { try configuration.requireRedis(for: "a runner") }
    #expect(
      redis?.description
        == "'redis' is missing in the configuration, and a runner needs it; give redis.url, such as redis://127.0.0.1:6379"
    )
    let definitions = #expect(throws: ConfigurationError.self) { try configuration.requireDefinitions(for: "a runner") }
    #expect(
      definitions?.description
        == "'r2' is missing in the configuration, and a runner needs it; give r2.bucket and r2.endpoint, or definitions.directory"
    )
  }

  @Test func placesNeedNoSecret() throws {
    let file = Array(
      """
      hub: { url: http://hub.example, api_key: "${NOT_SET}" }
      supervisor: { socket: /run/other.sock }
      receipts: { directory: "${WHERE}/receipts" }
      """.utf8)
    let parts: Set = ["supervisor", "receipts"]
    let places = try Configuration.parse(file, file: "c.yaml", environment: ["WHERE": "/srv"], parts: parts)
    #expect(places.supervisor.socket == "/run/other.sock" && places.receiptsDirectory == "/srv/receipts")
    // Control: whoever needs the Hub needs its key.
    #expect(throws: YAMLErrors.self) {
      try Configuration.parse(file, file: "c.yaml", environment: ["WHERE": "/srv"])
    }
    // What is wrong with a place is said all the same.
    #expect(throws: YAMLErrors.self) {
      try Configuration.parse(file, file: "c.yaml", environment: [:], parts: parts)
    }
  }
}
