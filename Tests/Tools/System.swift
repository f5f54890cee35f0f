import Glibc
import HTTPClient
import JSON
import Linux
import ModelStandIn

/// Something went wrong with the runs themselves.
struct ToolsError: Error, CustomStringConvertible {
  let description: String
}

/// `botburrow up` with these runs' agents, providers and servers; everything is below one directory, and gone with `stop`.
final class System: Sendable {
  let directory: String
  private let process: ProcessHandle
  private let hub: String
  private let key: String
  private let client = HTTPClient(userAgent: "botburrow-tools")

  private init(directory: String, process: ProcessHandle, hub: String, key: String) {
    (self.directory, self.process, self.hub, self.key) = (directory, process, hub, key)
  }

  /// Starts it and waits until it is up.
  /// - Parameter models: where each agent's stand-in is.
  static func start(_ trials: [Trial], program: String, models: [String: String]) async throws -> System {
    var template = Array("/tmp/botburrow-tools-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { throw LinuxError.last("mkdtemp", "/tmp/botburrow-tools-XXXXXX") }
    let directory = String(decoding: template.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    chmod(directory, 0o755)
    for name in ["definitions", "definitions/agents", "definitions/skills"] { try make("\(directory)/\(name)") }
    for trial in trials {
      let place = "\(directory)/definitions/agents/\(trial.agent)"
      try make(place)
      try write("\(place)/config.yaml", trial.definition(model: models[trial.agent] ?? ""))
      try write("\(place)/system-prompt.md", "You are \(trial.agent). Answer in a sentence.\n")
    }
    try write("\(directory)/coordinator.yaml", configuration(trials, models))
    let servers = Dictionary(trials.flatMap(\.servers).map { ($0.name, $0.entry) }) { $1 }
    try write(
      "\(directory)/mcp-servers.yaml",
      servers.isEmpty ? "servers: {}\n" : servers.reduce("servers:\n") { $0 + "  \($1.key): \($1.value)\n" })
    let log = try Descriptor.open("\(directory)/log", O_WRONLY | O_CREAT | O_APPEND)
    let output = try Descriptor.open("\(directory)/out", O_WRONLY | O_CREAT | O_APPEND)
    let null = try Descriptor.open("/dev/null")
    let pid = try spawn(
      program,
      [
        program, "up", "--config", "\(directory)/coordinator.yaml", "--agents", "\(directory)/definitions", "--data",
        "\(directory)/data", "--hub-listen", "127.0.0.1:0", "--poll-interval", "500ms",
      ], environment: ["PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"], descriptors: [null, output, log],
      ownGroup: true)
    let process = try ProcessHandle(child: pid)
    let deadline = ContinuousClock.now + .seconds(40)
    while true {
      if let text = try? readFile("\(directory)/data/up.json"), let state = try? JSONValue(parsing: text.utf8),
        let hub = state["hub"]?.string
      {
        let key = try readFile("\(directory)/data/hub-api-key").filter { !$0.isWhitespace }
        return System(directory: directory, process: process, hub: hub, key: key)
      }
      guard ContinuousClock.now < deadline, try process.wait(now: true) == nil else {
        throw ToolsError(description: "the system did not start:\n\((try? readFile("\(directory)/log")) ?? "")")
      }
      try await Task.sleep(for: .milliseconds(100))
    }
  }

  /// A provider and a stand-in for each trial: what one breaks must not be left alone by the breaker of another.
  private static func configuration(_ trials: [Trial], _ models: [String: String]) -> String {
    """
    coordinator: {stale_threshold: 365d}
    runners:
      notification: {max_activations: 4}
    work: {max_attempts: 1}
    providers:

    """
      + trials.map { trial in
        let base = trial.base(models[trial.agent] ?? "")
        return """
            \(trial.agent): {api_base: "\(base)", key: stand-in-key, dialects: [\(trial.tool.dialect)]}

          """
      }.joined()
  }

  // MARK: Its Hub

  private func call(_ method: String, _ path: String, _ body: JSONValue? = nil) async throws -> JSONValue {
    let answer = try await client.send(
      HTTPRequest(
        method: method, url: "\(hub)/api/v1\(path)",
        headers: [("Content-Type", "application/json"), ("Authorization", "Bearer \(key)")],
        body: try body.map { try JSON.encode($0) }))
    guard (200..<300).contains(answer.status) else {
      throw ToolsError(
        description: "\(method) \(path): \(answer.status) \(String(decoding: answer.body, as: UTF8.self))")
    }
    return try JSONValue(parsing: answer.body)
  }

  /// Writes a post; gives its id.
  func post(_ text: String) async throws -> String {
    try await call("POST", "/posts", ["agent_id": "ada", "content": .string(text)])["id"]?.string ?? ""
  }

  /// What an agent commented on a post.
  func comment(on post: String, by agent: String) async throws -> String? {
    let comments = try await call("GET", "/posts/\(post)?include_comments=true")["comments"]?.array ?? []
    return comments.first { $0["author"]?["id"]?.string == agent }?["content"]?.string
  }

  /// Tokens of all consumption that was reported for an agent.
  func consumption(_ agent: String) async throws -> (input: Int, output: Int) {
    let records = try await call("GET", "/system/consumption?agent_id=\(agent)")["records"]?.array ?? []
    return records.reduce((0, 0)) { sum, record in
      (
        sum.0 + Int(record["tokens_input"]?.integer ?? 0), sum.1 + Int(record["tokens_output"]?.integer ?? 0)
      )
    }
  }

  /// The log's records so far.
  func records() throws -> [JSONValue] {
    try readFile("\(directory)/log", limit: 1 << 26).split(separator: "\n").compactMap { line in
      line.first == "{" ? try? JSONValue(parsing: line.utf8) : nil
    }
  }

  /// Ends it; `keeping` leaves its log.
  func stop(keeping: Bool) async throws {
    try process.signal(SIGTERM)
    _ = try process.wait()
    guard !keeping else { return }
    let rm = try spawn("/bin/rm", ["rm", "-rf", directory], descriptors: [nil, nil, nil])
    _ = try ProcessHandle(child: rm).wait()
  }

  private static func make(_ path: String) throws {
    if mkdir(path, 0o755) < 0 { throw LinuxError.last("mkdir", path) }
  }

  private static func write(_ path: String, _ text: String) throws {
    try Descriptor.open(path, O_WRONLY | O_CREAT | O_EXCL, mode: 0o644).write(text.utf8)
  }
}
