import Agents
import FoundationEssentials
import Glibc
import HTTPClient
import Hub
import JSON
import Logging
import Observe
import Sandbox
import Synchronization
import TestSupport
import Work

@testable import Runner

/// A supervisor that runs a closure in the place of a program.
final class FakeLauncher: SandboxLauncher {
  /// What the program finds.
  struct Program: Sendable {
    var request: SandboxRequest
    var files: [String: String]
    var input: String
    /// Where the `hub` listener can be reached in this test; the sandbox's own address is not routed here.
    var hubPort: UInt16
    /// Calls a tool of the hub server as a program in the sandbox would.
    func call(_ tool: String, _ arguments: JSONValue) async throws -> JSONValue {
      let body: JSONValue = [
        "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": ["name": .string(tool), "arguments": arguments],
      ]
      let answer = try await HTTPClient().send(
        HTTPRequest(
          method: "POST", url: "http://127.0.0.1:\(hubPort)/mcp/hub",
          headers: [
            ("Authorization", "Bearer \(request.environment["BOTBURROW_GATEWAY_TOKEN"] ?? "")"),
            ("Content-Type", "application/json"), ("MCP-Protocol-Version", "2025-11-25"),
          ], body: try JSON.encode(body)))
      return try JSONValue(parsing: answer.body)
    }
  }
  /// How it ends.
  struct End: Sendable {
    var output = ""
    var error = ""
    var exit = ExitCause.exited(code: 0)
    var truncated = false
  }
  private let body: @Sendable (Program) async throws -> End
  private let seen = Mutex<[Program]>([])
  private let running = Mutex<(now: Int, most: Int)>((0, 0))

  init(_ body: @escaping @Sendable (Program) async throws -> End) { self.body = body }
  convenience init(says output: String) { self.init { _ in End(output: output) } }

  var programs: [Program] { seen.withLock { $0 } }
  /// How many ran at once, at most.
  var most: Int { running.withLock { $0.most } }
  var now: Int { running.withLock { $0.now } }

  func run(
    _ request: SandboxRequest, files: [[UInt8]], input: [UInt8], outputLimit: Int, end: SandboxEnd?,
    serve: @escaping @Sendable ([String: Int32]) async throws -> Void
  ) async throws -> SandboxResult {
    running.withLock { $0 = ($0.now + 1, max($0.most, $0.now + 1)) }
    defer { running.withLock { $0.now -= 1 } }
    var port: UInt16 = 0
    var descriptors: [String: Int32] = [:]
    for listener in request.listeners {
      let made = try Self.listen()
      descriptors[listener.name] = made.descriptor
      port = made.port
    }
    if !descriptors.isEmpty { try await serve(descriptors) }
    let names = request.files.map(\.path)
    let program = Program(
      request: request,
      files: Dictionary(uniqueKeysWithValues: zip(names, files.map { String(decoding: $0, as: UTF8.self) })),
      input: String(decoding: input, as: UTF8.self), hubPort: port)
    seen.withLock { $0.append(program) }
    let end = try await ended(by: end) { [body] in try await body(program) }
    return SandboxResult(
      output: Array(end.output.utf8), outputTruncated: end.truncated, errorOutput: Array(end.error.utf8),
      receipt: Receipt(
        activationID: request.activationID, exit: end.exit, json: ["exit": .string("\(end.exit)"), "seccomp_mode": 2]))
  }

  /// The program's end, or that of one who was told to end.
  private func ended(by order: SandboxEnd?, _ run: @escaping @Sendable () async throws -> End) async throws -> End {
    let program = Task { try await run() }
    let wasTold = Latch()
    try order?.attach(
      requested: order?.term,
      end: {
        wasTold.open()
        program.cancel()
      }, postpone: { _ in })
    return try await withTaskCancellationHandler {
      do { return try await program.value } catch  where wasTold.isOpen { return End(exit: .cancelled) }
    } onCancel: {
      program.cancel()
    }
  }

  private static func listen() throws -> (descriptor: Int32, port: UInt16) {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = inet_addr("127.0.0.1")
    var size = socklen_t(MemoryLayout<sockaddr_in>.size)
    let failed = withUnsafeMutablePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
        bind(descriptor, pointer, size) != 0 || Glibc.listen(descriptor, 16) != 0
          || getsockname(descriptor, pointer, &size) != 0
      }
    }
    guard !failed else { throw Unexpected("no listener: errno \(errno)") }
    return (descriptor, UInt16(bigEndian: address.sin_port))
  }
}

/// Definitions in memory.
struct FakeDefinitions: DefinitionSource {
  var agents: [String: LoadedAgent]
  func list() async throws -> [String] { agents.keys.sorted() }
  func load(_ agentID: String) async throws -> LoadedAgent {
    guard let agent = agents[agentID] else { throw DefinitionError.noSuchAgent(id: agentID, place: "/srv/agents") }
    return agent
  }
}

/// A test's own failure.
struct Unexpected: Error, CustomStringConvertible {
  var description: String
  init(_ description: String) { self.description = description }
}

/// A `custom` agent.
func agent(
  _ id: String = "claude-coder-1", grants: [Grant] = [], skills: [Skill] = [], prompt: String = "Be kind.",
  change: (inout AgentDefinition) -> Void = { _ in }
) -> LoadedAgent {
  var definition = AgentDefinition(id: id, kind: .custom, brain: .init(model: "none"))
  definition.executor = .init(command: "/usr/bin/answer", arguments: ["--now"], environment: ["TZ": "UTC"])
  definition.grants = grants
  change(&definition)
  return LoadedAgent(definition: definition, systemPrompt: prompt, skills: skills)
}

/// The outside of an activation, in memory.
struct World: Sendable {
  let hub = FakeHub()
  let metrics = Metrics()
  let folder: TestFolder
  let logged = LogCatcher()
  var agents: [LoadedAgent]
  var launcher: FakeLauncher

  init(_ launcher: FakeLauncher, agents: [LoadedAgent] = [agent()]) throws {
    self.launcher = launcher
    self.agents = agents
    folder = try TestFolder()
    hub.change { state in
      state.posts["12"] = Post(id: "12", author: Person(id: "u1", name: "Ada"), content: "Hello @claude-coder-1")
      state.notifications = [
        HubNotification(
          id: "n1", type: "mention", agentID: "claude-coder-1", postID: "12", from: Person(id: "u1", name: "Ada"))
      ]
    }
  }

  var services: RunnerServices {
    var policy = RunnerPolicy()
    policy.hubWaits = [.zero, .zero]
    var services = RunnerServices(
      hub: hub,
      definitions: FakeDefinitions(
        agents: Dictionary(uniqueKeysWithValues: agents.map { ($0.definition.id, $0) })),
      launcher: launcher, receipts: ReceiptFolder(path: folder.path), metrics: metrics, logger: logged.logger,
      time: RunnerTime(wallClock: { 1_800_000_000 }), makeToken: { "token" }, policy: policy)
    services.jitter = { 1 }
    return services
  }

  func activation(
    _ id: String = "a-1", agent: String = "claude-coder-1", type: TaskType = .notification, post: String? = "12",
    notifications: [String] = ["n1"], attempt: Int = 0
  ) -> Activation {
    Activation(
      task: ActivationTask(
        activationID: id, agentID: agent, type: type, postID: post, notificationIDs: notifications, attempt: attempt),
      services: services)
  }

  func receipt(_ id: String) throws -> JSONValue {
    try JSONValue(parsing: Data(contentsOf: URL(filePath: ReceiptFolder(path: folder.path).file(of: id))))
  }
}

/// A directory that goes with its test.
final class TestFolder: Sendable {
  let path: String
  init() throws {
    var template = Array("/tmp/botburrow-runner-XXXXXX".utf8CString)
    guard let made = mkdtemp(&template) else { throw Unexpected("mkdtemp: errno \(errno)") }
    path = String(cString: made)
  }
  deinit {
    do { try FileManager.default.removeItem(atPath: path) } catch { print("left behind: \(path): \(error)") }
  }
}

/// Keeps log lines with their metadata.
final class LogCatcher: Sendable {
  struct Line: Sendable {
    var level: Logger.Level
    var message: String
    var metadata: Logger.Metadata
  }
  private let kept = Mutex<[Line]>([])
  var lines: [Line] { kept.withLock { $0 } }
  var logger: Logger { Logger(label: "test") { _ in Handler(catcher: self) } }

  private struct Handler: LogHandler {
    let catcher: LogCatcher
    var metadata = Logger.Metadata()
    var logLevel = Logger.Level.trace
    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
      get { metadata[key] }
      set { metadata[key] = newValue }
    }
    func log(event: LogEvent) {
      catcher.kept.withLock {
        $0.append(Line(level: event.level, message: "\(event.message)", metadata: event.metadata ?? [:]))
      }
    }
  }
}
