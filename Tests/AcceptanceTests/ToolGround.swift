import Glibc
import HTTPServer
import JSON
import Linux

/// A supervisor with sidecar profiles, a catalogue, secrets, and agents that call tools: what `botburrow activate` needs.
final class ToolGround: Sendable {
  let folder: Folder
  let supervisor: Program
  /// The agent's output comes here; what it wrote for the test is one JSON object.
  struct Outcome: Sendable {
    var program: Program
    var json: JSONValue
    /// What the agent printed, as JSON.
    var said: JSONValue
  }
  static let tools = "/opt/botburrow/tools/bin"

  /// - Parameters:
  ///   - servers: the text of mcp-servers.yaml.
  ///   - secrets: by the server's name.
  ///   - shown: paths of the host that agents may read besides.
  ///   - profiles: more profiles by name.
  ///   - configuration: more lines of the configuration file.
  static func with(
    servers: String, secrets: [String: String] = [:], shown: [String] = [], profiles: [String: String] = [:],
    configuration: String = "",
    _ body: @Sendable (ToolGround) async throws -> Void
  ) async throws {
    let folder = try Folder()
    defer { folder.remove() }
    try folder.make("profiles")
    for name in try files(in: Product.profiles) {
      try folder.write("profiles/\(name)", try readFile("\(Product.profiles)/\(name)"))
    }
    let list = shown.map { "\n  - \($0)" }.joined()
    try folder.write(
      "profiles/tools-agent.yaml",
      "description: An agent of these tests\nextends: default\nread_only: \(list.isEmpty ? "[]" : list)\n")
    for (name, text) in profiles { try folder.write("profiles/\(name).yaml", text) }
    try folder.write("mcp-servers.yaml", servers)
    try folder.make("secrets")
    for (server, text) in secrets {
      try folder.write("secrets/\(server).env", text)
      chmod("\(folder.path)/secrets/\(server).env", 0o600)
    }
    for name in ["definitions", "definitions/agents", "definitions/skills"] { try folder.make(name) }
    try folder.write(
      "coordinator.yaml",
      """
      hub: {url: "http://127.0.0.1:9", api_key: "${HUB_API_KEY}"}
      definitions: {directory: "\(folder.definitions)"}
      supervisor: {socket: "\(folder.path)/supervisor.sock"}
      receipts: {directory: "\(folder.path)/receipts"}
      \(configuration)

      """)
    let supervisor = try await Program.start(
      "supervisor",
      [
        Product.botburrow, "supervisor", "--socket", "\(folder.path)/supervisor.sock", "--profiles",
        "\(folder.path)/profiles", "--cgroup", "best-effort", "--metrics", "unix:\(folder.path)/metrics.sock",
      ], in: folder.path)
    try await until("the supervisor's start", within: .seconds(20)) { !supervisor.logged("supervisor started").isEmpty }
    let ground = ToolGround(folder, supervisor)
    do { try await body(ground) } catch {
      for name in ((try? files(in: folder.path)) ?? []).sorted() where name.hasSuffix(".err") {
        print("--- \(name)\n\((try? readFile("\(folder.path)/\(name)")) ?? "")")
      }
      throw error
    }
    _ = try await supervisor.terminate()
  }

  private init(_ folder: Folder, _ supervisor: Program) {
    self.folder = folder
    self.supervisor = supervisor
  }

  /// An agent that is a Python program with `call(server, tool, arguments)` and friends.
  func add(
    agent id: String, grants: [String], servers: [String], python: String = "/usr/bin/python3", script: String
  ) throws {
    try folder.make("definitions/agents/\(id)")
    let lines = (Self.prelude + script).split(separator: "\n", omittingEmptySubsequences: false)
    let text =
      [
        "version: \"1.0.0\"", "name: \(id)", "type: custom", "brain: {model: none}", "capabilities:",
        "  grants: [\(grants.map { "'\($0)'" }.joined(separator: ", "))]",
        "  mcp_servers: [\(servers.joined(separator: ", "))]", "executor:", "  command: \(python)", "  args:",
        "    - -c",
        "    - |-",
      ]
      + lines.map { "      \($0)" }
      + ["    - \(folder.mark)", "sandbox: {profile: tools-agent, timeout: 120s}", ""]
    try folder.write("definitions/agents/\(id)/config.yaml", text.joined(separator: "\n"))
    try folder.write("definitions/agents/\(id)/system-prompt.md", "You are \(id).\n")
  }

  /// One POST is one call; `print(json.dumps(…))` is what the test reads.
  private static let prelude = """
    import hashlib, json, os, sys, urllib.request, urllib.error
    token = os.environ["BOTBURROW_GATEWAY_TOKEN"]
    def post(server, message, headers={}):
        request = urllib.request.Request(os.environ["MCP_%s_URL" % server.upper()], method="POST",
            headers={"Authorization": "Bearer " + token, "Content-Type": "application/json",
                     "MCP-Protocol-Version": "2025-11-25", **headers}, data=json.dumps(message).encode())
        try:
            with urllib.request.urlopen(request, timeout=100) as answer:
                return json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            return json.loads(error.read() or b"null")
    def ask(server, method, params={}):
        return post(server, {"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
    def modern(server, method, params={}):
        meta = {"io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {}}
        headers = {"MCP-Protocol-Version": "2026-07-28", "Mcp-Method": method}
        if "name" in params: headers["Mcp-Name"] = params["name"]
        return post(server, {"jsonrpc": "2.0", "id": 1, "method": method, "params": {**params, "_meta": meta}}, headers)
    def call(server, tool, arguments={}):
        answer = ask(server, "tools/call", {"name": tool, "arguments": arguments})
        if "error" in answer: return answer
        return "\\n".join(block.get("text", "") for block in answer["result"]["content"])
    def names(server):
        return [tool["name"] for tool in ask(server, "tools/list")["result"]["tools"]]

    """

  /// Starts an activation.
  /// - Parameter wrapper: words before the command's own.
  func start(
    _ agent: String, environment: [String: String] = [:], wrapper: [String] = []
  ) async throws -> Program {
    try await Program.start(
      "activate-\(agent)",
      wrapper + [
        Product.botburrow, "activate", agent, "--prompt", "go", "--config", "\(folder.path)/coordinator.yaml", "--json",
        "--log-level", "debug",
      ], in: folder.path, environment: ["HUB_API_KEY": "key-of-the-hub"].merging(environment) { $1 })
  }

  /// Its end.
  func outcome(of program: Program) async throws -> Outcome {
    _ = try await program.ended(within: .seconds(150))
    let json = try JSONValue(parsing: Array(program.output.utf8))
    guard let answer = json["answer"]?.string, let said = try? JSONValue(parsing: Array(answer.utf8)) else {
      throw NotInTime(description: "the agent said nothing that can be read: \(program.output) \(program.errors)")
    }
    return Outcome(program: program, json: json, said: said)
  }

  func activate(
    _ agent: String, environment: [String: String] = [:], wrapper: [String] = []
  ) async throws -> Outcome {
    try await outcome(of: try await start(agent, environment: environment, wrapper: wrapper))
  }
}
