import Glibc
import HTTPClient
import JSON
import Linux
import Redis
import TestSupport

/// The product's programs, as they were built beside this test.
enum Product {
  static let directory: String = {
    var buffer = [UInt8](repeating: 0, count: 4096)
    let count = buffer.withUnsafeMutableBytes { bytes in
      bytes.bindMemory(to: CChar.self).baseAddress.map { readlink("/proc/self/exe", $0, bytes.count) } ?? 0
    }
    let path = String(decoding: buffer[..<max(0, count)], as: UTF8.self)
    return path.split(separator: "/").dropLast().reduce("") { "\($0)/\($1)" }
  }()
  static var botburrow: String { "\(directory)/botburrow" }
  /// The source tree's.
  static let profiles: String = #filePath.split(separator: "/").dropLast(3).reduce("") { "\($0)/\($1)" } + "/profiles"
}

/// A directory that everybody may read, with agents in it; gone with `remove`.
struct Folder: Sendable {
  let path: String

  /// - Parameter parent: elsewhere than /tmp for what a sandbox shall see, which has a /tmp of its own.
  init(in parent: String = "/tmp") throws {
    var template = Array("\(parent)/botburrow-acceptance-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { throw LinuxError.last("mkdtemp", "\(parent)/botburrow-acceptance-XXXXXX") }
    path = String(decoding: template.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    chmod(path, 0o755)
  }

  /// A word that is on the command lines of this folder's agents, and nowhere else.
  var mark: String { path.split(separator: "/").last.map(String.init) ?? "" }
  var definitions: String { "\(path)/definitions" }

  func make(_ name: String) throws {
    if mkdir("\(path)/\(name)", 0o755) < 0, errno != EEXIST { throw LinuxError.last("mkdir", "\(path)/\(name)") }
  }

  func write(_ name: String, _ text: String) throws { try writeNew("\(path)/\(name)", text) }

  func add(_ agents: [Agent]) throws {
    for name in ["definitions", "definitions/agents", "definitions/skills"] { try make(name) }
    for agent in agents {
      try make("definitions/agents/\(agent.id)")
      try write("definitions/agents/\(agent.id)/config.yaml", agent.yaml(mark: mark))
      try write("definitions/agents/\(agent.id)/system-prompt.md", "You are \(agent.id).\n")
    }
  }

  func remove() {
    guard let process = try? spawn("/bin/rm", ["rm", "-rf", path], descriptors: [nil, nil, nil]),
      let handle = try? ProcessHandle(child: process)
    else { return }
    _ = try? handle.wait()
  }
}

/// An agent of these tests: a program in a definition of its own.
struct Agent: Sendable {
  var id: String
  var command: [String]
  var grants: [String] = ["hub:read", "hub:write"]
  var timeout = "30s"

  /// A shell script; `$0` is a mark that makes its process findable from outside.
  static func shell(_ id: String, _ script: String, grants: [String] = ["hub:read"]) -> Agent {
    Agent(id: id, command: ["/bin/sh", "-c", script], grants: grants)
  }

  /// Says at once how many words it was asked.
  static func echo(_ id: String) -> Agent { .shell(id, "echo \"You asked me $(wc -w) words.\"") }

  /// Says something after a while.
  static func slow(_ id: String, seconds: Double) -> Agent { .shell(id, "sleep \(seconds); echo done after a while") }

  /// Looks around at the Hub through its MCP server, then answers on standard output.
  static func searcher(_ id: String) -> Agent {
    Agent(
      id: id,
      command: [
        "/usr/bin/python3", "-c",
        toolCall + """
          found = call("search", {"query": "burrows", "limit": 5})["results"]
          print("I found: " + "; ".join(sorted(post["content"] for post in found)))
          """,
      ])
  }

  /// Comments through its tools, and prints something as well.
  static func commenter(_ id: String) -> Agent {
    Agent(
      id: id,
      command: [
        "/usr/bin/python3", "-c",
        toolCall + """
          call("create_comment", {"post_id": os.environ["BOTBURROW_POST_ID"], "content": "said through my tools"})
          print("said on standard output")
          """,
      ])
  }

  private static let toolCall = """
    import json, os, urllib.request
    def call(tool, arguments):
        request = urllib.request.Request(os.environ["MCP_HUB_URL"], method="POST", headers={
            "Authorization": "Bearer " + os.environ["BOTBURROW_GATEWAY_TOKEN"],
            "Content-Type": "application/json", "MCP-Protocol-Version": "2025-11-25"},
            data=json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call",
                             "params": {"name": tool, "arguments": arguments}}).encode())
        with urllib.request.urlopen(request, timeout=10) as answer:
            result = json.load(answer)["result"]
        assert not result.get("isError"), result
        return result["structuredContent"]

    """

  func yaml(mark: String) -> String {
    let words = (command.dropFirst() + [mark]).map { word in
      "    - |-\n" + word.split(separator: "\n", omittingEmptySubsequences: false).map { "      \($0)\n" }.joined()
    }
    return """
      version: "1.0.0"
      name: \(id)
      type: custom
      brain: {model: none}
      capabilities:
        grants: [\(grants.joined(separator: ", "))]
      executor:
        command: \(command[0])
        args:
      \(words.joined())
      sandbox: {timeout: \(timeout)}

      """
  }
}

/// One host's worth of daemons, each started by the test: a Redis, a local Hub, a supervisor, and as many coordinators and
/// runners as it takes.
final class Machine: Sendable {
  struct Options: Sendable {
    var agents: [Agent] = []
    var lease = "15s"
    var globalCap = 50
    var runnerCap = 10
    /// More lines, or others, of the file.
    var definitions: String?
    var hub: String?
    /// Further parts of the file.
    var more = ""
    var environment: [String: String] = [:]
  }

  let folder: Folder
  let redis: RedisServer
  let hub: Program
  let hubURL: String
  private let options: Options
  let configuration: String

  /// Runs a test on a machine of its own, and ends what it left.
  static func with(_ options: Options, _ body: @Sendable (Machine) async throws -> Void) async throws {
    let folder = try Folder()
    defer { folder.remove() }
    let machine = try await Machine(options, folder)
    do { try await body(machine) } catch {
      for name in ((try? files(in: folder.path)) ?? []).sorted() where name.hasSuffix(".err") {
        print("--- \(name)\n\((try? readFile("\(folder.path)/\(name)")) ?? "")")
      }
      throw error
    }
    _ = try await machine.hub.terminate()
  }

  private init(_ options: Options, _ folder: Folder) async throws {
    self.options = options
    self.folder = folder
    try folder.add(options.agents)
    redis = try await RedisServer(["--appendfsync", "always"])
    hub = try await Program.start(
      "hub", [Product.botburrow, "hub", "--listen", "127.0.0.1:0"] + options.agents.flatMap { ["--agent", $0.id] },
      in: folder.path, environment: ["HUB_API_KEY": Self.key])
    let port = try await Self.port(of: hub)
    hubURL = options.hub ?? "http://127.0.0.1:\(port)"
    configuration = "\(folder.path)/coordinator.yaml"
    try folder.write("coordinator.yaml", file)
  }

  static let key = "key-of-the-acceptance-tests"

  private static func port(of hub: Program) async throws -> Int64 {
    try await eventually("the Hub's port", within: .seconds(20)) { hub.logged("hub started").first?["port"]?.integer }
  }

  private var file: String {
    """
    coordinator: {poll_interval: 500ms, stale_threshold: 365d, max_concurrent_activations: \(options.globalCap)}
    runners:
      notification: {max_activations: \(options.runnerCap)}
    redis: {url: "unix://\(redisSocket)"}
    hub: {url: "\(hubURL)", api_key: "${HUB_API_KEY}"}
    \(options.definitions ?? "definitions: {directory: \"\(folder.definitions)\"}")
    supervisor: {socket: "\(supervisorSocket)"}
    work: {lease: \(options.lease)}
    receipts: {directory: "\(folder.path)/receipts"}
    \(options.more)

    """
  }

  var redisSocket: String {
    if case .unix(let path) = redis.url.address { return path }
    return ""
  }
  var supervisorSocket: String { "\(folder.path)/supervisor.sock" }

  // MARK: Daemons

  func supervisor() async throws -> Program {
    let program = try await daemon(
      "supervisor",
      ["supervisor", "--socket", supervisorSocket, "--profiles", Product.profiles, "--cgroup", "best-effort"])
    try await until("the supervisor's start", within: .seconds(20)) { !program.logged("supervisor started").isEmpty }
    return program
  }

  func coordinator(_ name: String = "coordinator", environment: [String: String] = [:]) async throws -> Program {
    let program = try await daemon(name, ["coordinator", "--config", configuration], environment)
    try await until("the coordinator's start", within: .seconds(20)) { !program.logged("coordinator started").isEmpty }
    return program
  }

  func runner(_ name: String = "runner", environment: [String: String] = [:]) async throws -> Program {
    try folder.make("receipts")
    try folder.make("receipts/\(name)")
    let program = try await daemon(
      name,
      [
        "runner", "--pool", "notification", "--grace", "2", "--config", configuration, "--receipts",
        "\(folder.path)/receipts/\(name)",
      ], environment)
    try await until("the runner's start", within: .seconds(20)) { !program.logged("runner started").isEmpty }
    return program
  }

  private func daemon(
    _ name: String, _ arguments: [String], _ environment: [String: String] = [:]
  ) async throws -> Program {
    unlink("\(folder.path)/\(name)-metrics.sock")
    return try await Program.start(
      name, [Product.botburrow] + arguments + ["--metrics", "unix:\(folder.path)/\(name)-metrics.sock"],
      in: folder.path,
      environment: ["HUB_API_KEY": Self.key].merging(options.environment) { $1 }.merging(environment) { $1 })
  }

  // MARK: Looking in from outside

  /// redis-cli, as an operator has it.
  @discardableResult
  func redisCLI(_ arguments: [String]) async throws -> String {
    let program = try await Program.start(
      "redis-cli", ["/usr/bin/redis-cli", "-s", redisSocket] + arguments, in: folder.path)
    let end = try await program.ended(within: .seconds(20))
    guard end == .exited(0) else { throw NotInTime(description: "redis-cli \(arguments): \(end) \(program.errors)") }
    return program.output.hasSuffix("\n") ? String(program.output.dropLast()) : program.output
  }

  /// Pushes one item, as an operator does.
  func push(_ item: JSONValue) async throws {
    try await redisCLI(["LPUSH", "runner:notification:work", try JSON.text(item)])
  }

  func count(_ name: String) async throws -> Int {
    Int(try await redisCLI(["HGET", "botburrow:counts", name])) ?? 0
  }

  /// A daemon's series by name with labels.
  func metrics(_ name: String) async throws -> [String: Double] {
    try await readMetrics("\(folder.path)/\(name)-metrics.sock")
  }

  var hubAPI: HubAPI { HubAPI(url: hubURL, key: Self.key) }

  func receipts(of runner: String) throws -> [JSONValue] {
    try files(in: "\(folder.path)/receipts/\(runner)").filter { $0.hasSuffix(".json") }.map { name in
      try JSONValue(parsing: Array(try readFile("\(folder.path)/receipts/\(runner)/\(name)").utf8))
    }
  }

  /// The sandboxed agents that run now.
  var agents: [pid_t] {
    Processes.naming(folder.mark).filter { pid in
      let words = Processes.commandLine(pid)
      return (words.hasPrefix("/bin/sh -c") || words.hasPrefix("/usr/bin/python3 -c")) && Processes.lives(pid)
    }
  }

  /// Waits for the agent of a sandbox and says which namespaces are its own.
  func liveSandbox() async throws -> (pid: pid_t, namespaces: Namespaces) {
    try await eventually("an agent in its sandbox", within: .seconds(10)) {
      guard let pid = agents.first else { return nil }
      let own = Namespaces(of: [pid], holding: ["pid", "net"])
      return own.all.count >= 7 && own.held.count == 2 ? (pid, own) : nil
    }
  }
}

/// The Hub's public API.
struct HubAPI: Sendable {
  let url: String
  let key: String?

  func call(_ method: String, _ path: String, _ body: JSONValue? = nil) async throws -> JSONValue {
    let answer = try await Self.client.send(
      HTTPRequest(
        method: method, url: "\(url)/api/v1\(path)",
        headers: [("Content-Type", "application/json")] + (key.map { [("Authorization", "Bearer \($0)")] } ?? []),
        body: try body.map { try JSON.encode($0) }))
    let text = String(decoding: answer.body, as: UTF8.self)
    guard (200..<300).contains(answer.status) else {
      throw NotInTime(description: "\(method) \(path): \(answer.status) \(text)")
    }
    return try JSONValue(parsing: answer.body)
  }
  static let client = HTTPClient(userAgent: "acceptance")

  /// Writes a post; gives its id.
  func post(_ content: String, by author: String = "ada") async throws -> String {
    let made = try await call("POST", "/posts", ["agent_id": .string(author), "content": .string(content)])
    return made["id"]?.string ?? ""
  }

  /// A post's comments as author and text.
  func comments(_ post: String) async throws -> [(author: String, text: String)] {
    (try await call("GET", "/posts/\(post)")["comments"]?.array ?? []).map {
      ($0["author"]?["id"]?.string ?? "", $0["content"]?.string ?? "")
    }
  }

  func consumption(_ agent: String) async throws -> [JSONValue] {
    try await call("GET", "/system/consumption?agent_id=\(agent)")["records"]?.array ?? []
  }
}

/// A metrics endpoint at a Unix socket, as series with values.
func readMetrics(_ socket: String) async throws -> [String: Double] {
  let answer = try await HubAPI.client.send(HTTPRequest(url: "http://localhost/metrics", unixSocket: socket))
  var series: [String: Double] = [:]
  for line in String(decoding: answer.body, as: UTF8.self).split(separator: "\n") where line.first != "#" {
    guard let space = line.lastIndex(of: " ") else { continue }
    series[String(line[..<space])] = Double(line[line.index(after: space)...])
  }
  return series
}
