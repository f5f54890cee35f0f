import CLinux
import Glibc
import HTTPClient
import JSON
import Linux
import Parts
import Redis

/// One whole system of its own: a Redis, a Hub, coordinators. Nobody runs agents: what leaders queue stays in the lists.
@MainActor
final class Ensemble {
  let name: String
  private(set) var coordinators: [Part] = []
  private(set) var monitor: Monitor?
  private let directory: String
  private let logs: String
  private let options: FailoverOptions
  private let client: HTTPClient
  private var parts: [Part] = []
  private var redis: RedisURL?
  private var hub = ""

  /// Many, so that a leader that has to queue something for each is still at work when it is stopped: it queues a hundred at a time.
  static let agents = (0..<400).map { "agent-\($0)" }
  private static let key = "key-of-the-failover"

  /// - Parameters:
  ///   - directory: of its files; it must not be there yet, nor that of its logs.
  ///   - client: to reach its Hub with.
  init(_ name: String, in directory: String, logs: String, _ options: FailoverOptions, _ client: HTTPClient) {
    (self.name, self.directory, self.logs, self.options, self.client) = (name, directory, logs, options, client)
  }

  /// Starts everything and waits until it is up.
  /// - Parameter began: what times are counted from.
  func start(began: ContinuousClock.Instant) async throws {
    try makeFiles()
    let port = try Self.freePort()
    let redis = RedisURL(address: .tcp(host: "127.0.0.1", port: Int(port)))
    try add(
      .redis, "redis",
      [
        "/usr/bin/setpriv", "--pdeathsig=TERM", "--", "/usr/bin/redis-server", "--bind", "127.0.0.1", "--port",
        "\(port)", "--dir", "\(directory)/redis", "--appendonly", "yes", "--save", "", "--daemonize", "no",
      ])
    let connection = RedisConnection(redis)
    defer { connection.close() }
    try await until("Redis is up", within: .seconds(20)) {
      do throws(RedisError) { return try await connection.command(["PING"]) == .status("PONG") } catch {
        if error.isTransient { return false }
        throw error
      }
    }
    self.redis = redis
    monitor = try Monitor(port: port, log: "\(logs)/monitor.log", began: began)
    let hub = try add(
      .hub, "hub",
      [program, "hub", "--listen", "127.0.0.1:0", "--die-with", "\(getpid())", "--log-level", "notice"]
        + Self.agents.flatMap { ["--agent", $0] })
    try await until("the Hub is up", within: .seconds(20)) {
      guard let port = try LogLine.all(in: hub.log).compactMap({ $0["port"] }).first else { return false }
      self.hub = "http://127.0.0.1:\(port)"
      return true
    }
    try write("coordinator.yaml", configuration)
    for index in 1...options.coordinators {
      let part = try add(
        .coordinator, "coordinator-\(index)",
        [
          program, "coordinator", "--config", "\(directory)/coordinator.yaml", "--metrics",
          "unix:\(directory)/coordinator-\(index).sock", "--die-with", "\(getpid())", "--log-level", "notice",
        ])
      coordinators.append(part)
      try await isUp(part)
    }
  }

  private var program: String { "\(options.programs)/botburrow" }

  private var configuration: String {
    """
    coordinator: {poll_interval: 1s, stale_threshold: 365d}
    redis: {url: "redis://\(redis?.endpoint ?? "")"}
    hub: {url: "\(hub)", api_key: "${HUB_API_KEY}"}
    definitions: {directory: "\(directory)/definitions"}

    """
  }

  private static func definition(_ agent: String) -> String {
    """
    version: "1.0.0"
    name: \(agent)
    type: custom
    brain: {model: none}
    capabilities:
      grants: [hub:read, hub:write]
    executor: {command: /bin/true}

    """
  }

  private func makeFiles() throws {
    func make(_ name: String) throws { try check(mkdir("\(directory)/\(name)", 0o755), "mkdir", name) }
    try check(mkdir(logs, 0o755), "mkdir", logs)
    for name in ["", "redis", "definitions", "definitions/agents", "definitions/skills"] { try make(name) }
    for agent in Self.agents {
      try make("definitions/agents/\(agent)")
      try write("definitions/agents/\(agent)/config.yaml", Self.definition(agent))
      try write("definitions/agents/\(agent)/system-prompt.md", "You are \(agent).\n")
    }
  }

  private func write(_ name: String, _ text: String) throws {
    try Descriptor.open("\(directory)/\(name)", O_WRONLY | O_CREAT | O_EXCL, mode: 0o644).write(text.utf8)
  }

  @discardableResult
  private func add(_ kind: Part.Kind, _ name: String, _ arguments: [String]) throws -> Part {
    let part = Part(kind, name, arguments, environment: ["HUB_API_KEY=\(Self.key)"], in: logs)
    try part.start()
    parts.append(part)
    return part
  }

  /// One that nobody listens at now.
  private static func freePort() throws -> UInt16 {
    let listener = Descriptor(owning: try check(cl_tcp_listener(0x7f00_0001, 0, nil, 1), "bind", "127.0.0.1"))
    let port = withExtendedLifetime(listener) { cl_bound_port(listener.number) }
    return UInt16(try check(port, "getsockname", "127.0.0.1"))
  }

  // MARK: While it runs

  /// What its Redis was told by now.
  func look<Value: Sendable>(_ body: (Ledger) -> Value) -> Value { monitor?.look(body) ?? body(Ledger()) }

  /// Starts a coordinator again, and waits until it campaigns.
  func restart(_ part: Part) async throws {
    try part.start()
    try await isUp(part)
  }

  private func isUp(_ part: Part) async throws {
    try await until("\(part.name) is up", within: .seconds(20)) {
      try LogLine.all(in: part.log).contains { $0.message == "coordinator started" }
    }
  }

  /// Who leads, and in which term. Each epoch has one that says so.
  func leader() async throws -> (part: Part, term: Ledger.Term) {
    var found: (Part, Ledger.Term)?
    try await until("somebody leads", within: .seconds(40)) {
      guard let term = self.look({ $0.terms.last }) else { return false }
      let claims = try self.coordinators.filter { part in
        guard part.handle != nil else { return false }
        return try LogLine.all(in: part.log).contains {
          $0.message == "this coordinator leads" && $0["epoch"] == "\(term.epoch)"
        }
      }
      if claims.count > 1 { throw FailoverError("two coordinators say that they lead in epoch \(term.epoch)") }
      found = claims.first.map { ($0, term) }
      return found != nil
    }
    guard let found else { throw FailoverError("nobody leads") }
    return found
  }

  private func checkThatAllRun() throws {
    for part in parts {
      if let end = try part.endedNow(), !part.isDoomed {
        throw FailoverError("\(part.name) ended by itself: \(end); see \(part.log)")
      }
    }
    if let failure = monitor?.failure { throw FailoverError("what Redis does is not heard any more: \(failure)") }
  }

  /// Mentions these agents, which makes work for the leader.
  func mention(_ agents: [String]) async throws {
    _ = try await ask(
      "POST", "posts",
      ["agent_id": "somebody", "content": .string(agents.map { "@\($0)" }.joined(separator: " ") + " hello")])
  }

  /// Reads everybody's inbox, as runners would.
  func readInboxes() async throws {
    while true {
      let unread = try await ask("GET", "notifications?agent=*&unread=true&limit=500")["notifications"]?.array ?? []
      if unread.isEmpty { return }
      let ids = unread.compactMap { $0["id"]?.string }
      _ = try await ask("POST", "notifications/read", ["notification_ids": .array(ids.map { .string($0) })])
    }
  }

  private func ask(_ method: String, _ path: String, _ body: JSONValue? = nil) async throws -> JSONValue {
    let answer = try await client.send(
      HTTPRequest(
        method: method, url: "\(hub)/api/v1/\(path)",
        headers: [("Content-Type", "application/json"), ("Authorization", "Bearer \(Self.key)")],
        body: try body.map { try JSON.encode($0) } ?? []))
    guard (200...299).contains(answer.status) else {
      throw FailoverError("the Hub refuses \(method) \(path): \(String(decoding: answer.body, as: UTF8.self))")
    }
    return try JSONValue(parsing: answer.body)
  }

  /// Waits until it holds, while everybody runs who is to run.
  func until(
    _ what: String, within patience: Duration, every pause: Duration = .milliseconds(5),
    _ holds: () async throws -> Bool
  ) async throws {
    let deadline = ContinuousClock.now + patience
    while true {
      try checkThatAllRun()
      if try await holds() { return }
      if ContinuousClock.now > deadline { throw FailoverError("not within \(patience): \(what)") }
      try await Task.sleep(for: pause)
    }
  }

  // MARK: The end

  /// Ends everybody in order, and hears the last of it.
  func end() async throws {
    try await end(coordinators)
    if let redis {
      let connection = RedisConnection(redis)
      defer { connection.close() }
      let word = "the last of \(name)"
      _ = try await connection.command(["ECHO", RedisArgument(word)])
      try await until("Redis's last line", within: .seconds(10)) { self.monitor?.hasHeard(echo: word) == true }
    }
    monitor?.end()
    try await end(parts)
  }

  private func end(_ parts: [Part]) async throws {
    for part in parts where part.handle != nil {
      part.isDoomed = true
      try part.signal(SIGTERM)
      try part.signal(SIGCONT)
    }
    try await until("its processes end after SIGTERM", within: .seconds(20)) { parts.allSatisfy { $0.handle == nil } }
  }

  /// At once, where something went wrong.
  func kill() throws {
    monitor?.end()
    for part in parts where part.handle != nil {
      part.isDoomed = true
      try part.signal(SIGKILL)
      _ = try part.handle?.wait()
    }
  }
}
