import Addresses
import Agents
import Glibc
import JSON
import Linux
import Synchronization
import Testing

@testable import Gateway
@testable import Runner
@testable import Sandbox

/// Starts no sandbox: a thread answers on the pipes.
private final class FakeAttacher: SandboxAttacher {
  struct Asked: Sendable {
    var request: SandboxRequest
    var secrets: [String: String]
  }
  let asked = Mutex<[Asked]>([])
  /// Signals that came, in order; -1 for a hang-up.
  let signals = Mutex<[Int32]>([])
  /// Open once nobody hears it any more.
  let isHungUp = Latch()
  /// What ends the program: the end of its input, or a signal.
  private let endsWith: Int32

  init(endsWith: Int32 = 0) { self.endsWith = endsWith }

  func attach(
    _ request: SandboxRequest, files: [[UInt8]], secrets: [String: String],
    serve: @escaping @Sendable ([String: Int32]) async throws -> Void
  ) async throws -> AttachedSandbox {
    asked.withLock { $0.append(Asked(request: request, secrets: secrets)) }
    let (stdin, input) = try makePipe()
    let (output, stdout) = try makePipe()
    let (errors, stderr) = try makePipe()
    let (ours, theirs) = try PacketSocket.pair()
    let ended = Mutex(false)
    let end: @Sendable (ExitCause) -> Void = { cause in
      guard
        ended.withLock({ was in
          defer { was = true }; return !was
        })
      else { return }
      stdout.close()
      stderr.close()
      try? theirs.send(
        SupervisorMessage(ended: ["activation_id": .string(request.activationID), "exit": cause.json]).bytes)
    }
    let endsWith = endsWith
    Thread.detach {
      var line: [UInt8] = []
      var byte: UInt8 = 0
      while read(stdin.number, &byte, 1) == 1 {
        line.append(byte)
        guard byte == 10 else { continue }
        if let message = try? JSONValue(parsing: line), let id = message["id"] {
          let result: JSONValue =
            switch message["method"]?.string {
            case "initialize": ["protocolVersion": "2025-11-25", "capabilities": ["tools": [:]]]
            case "tools/list": ["tools": [["name": "look", "inputSchema": [:]]]]
            default: ["content": []]
            }
          try? stdout.write((JSONValue.object(["jsonrpc": "2.0", "id": id, "result": result]).compactText + "\n").utf8)
        }
        line = []
      }
      if endsWith == 0 { end(.exited(code: 0)) }
    }
    Thread.detach { [self] in
      while let packet = try? theirs.receive(), let message = try? ClientMessage(parsing: packet.bytes),
        let number = message.signal
      {
        signals.withLock { $0.append(number) }
        if number == endsWith { end(.signal(Int(number))) }
      }
      if !ended.withLock({ $0 }) { signals.withLock { $0.append(-1) } }
      isHungUp.open()
    }
    return AttachedSandbox(
      streams: .init(input: input, output: output, errors: errors), connection: SandboxConnection(ours))
  }
}

/// No signal that there is.
private let never: Int32 = 1000

@Suite("Tool servers of an activation") struct ToolServerTests {
  private func services(_ attacher: FakeAttacher, secrets: String? = nil) throws -> (World, ToolServices) {
    let world = try World(FakeLauncher(says: "x"))
    var tools = ToolServices()
    tools.attacher = attacher
    tools.endGrace = .milliseconds(50)
    if let secrets {
      let path = "\(world.folder.path)/probe.env"
      try Descriptor.open(path, O_WRONLY | O_CREAT).write(secrets.utf8)
      tools.secrets = SecretStore(directories: [world.folder.path])
    }
    return (world, tools)
  }
  private func watch(_ world: World) -> SidecarWatch {
    SidecarWatch(
      activationID: "a", agentID: "coder", server: "probe", logger: world.logged.logger, metrics: world.metrics)
  }
  private func entry(_ environment: [String: String] = [:]) throws -> ServerEntry {
    ServerEntry(
      name: "probe",
      place: .program(
        command: "probe", arguments: ["--now"], environment: try environment.mapValues { try #require(SecretText($0)) })
    )
  }
  private func sidecar(_ entry: ServerEntry, _ world: World, _ tools: ToolServices) -> Sidecar {
    Sidecar(
      entry, id: "a-mcp1", lifetime: .seconds(10), tools: tools, time: world.services.time, watch: watch(world))
  }

  @Test func `What is secret goes apart from the rest, and only what the entry refers to`() async throws {
    let attacher = FakeAttacher()
    let (world, tools) = try services(attacher, secrets: "KEY=hidden-value\nOTHER=unused")
    let sidecar = sidecar(try entry(["PLAIN": "1", "TOKEN": "Bearer ${KEY}"]), world, tools)
    #expect(try await sidecar.client().tools().count == 1)
    let asked = try #require(attacher.asked.withLock { $0.first })
    #expect(asked.request.arguments == ["probe", "--now"])
    #expect(asked.request.profile == "sidecar")
    #expect(asked.request.environment == ["PLAIN": "1"])
    #expect(asked.request.listeners == [])
    #expect(asked.request.hasSecrets)
    #expect(asked.request.limits.timeoutSeconds == 40)
    #expect(asked.secrets == ["TOKEN": "Bearer hidden-value"])
    #expect(await sidecar.stop()?.cause == "exited 0")
    #expect(attacher.signals.withLock { $0 } == [])
  }

  @Test func `One that comes with a definition gets no secrets`() async throws {
    let attacher = FakeAttacher()
    let (world, tools) = try services(attacher, secrets: "KEY=hidden")
    var entry = try entry(["TOKEN": "${KEY}"])
    entry.isOperators = false
    let sidecar = sidecar(entry, world, tools)
    await #expect(throws: DownstreamError.self) { try await sidecar.client() }
    #expect(attacher.asked.withLock { $0.count } == 0)
    #expect(await sidecar.stop() == nil)
  }

  @Test func `A missing or untrusted secret is said without its value`() async throws {
    for (text, words) in [("NAME=hidden", "'TOKEN' refers to KEY"), ("KEY hidden", "the line is not NAME=value")] {
      let (world, tools) = try services(FakeAttacher(), secrets: text)
      let sidecar = sidecar(try entry(["TOKEN": "${KEY}"]), world, tools)
      let error = await #expect(throws: DownstreamError.self) { try await sidecar.client() }
      #expect(error?.description.contains(words) == true)
      #expect(error?.description.contains("hidden") == false)
      _ = await sidecar.stop()
      #expect(world.logged.lines.contains { $0.message == "tool server is not there" })
    }
  }

  @Test func `With hosts it gets a proxy, named in every way that programs look for one`() async throws {
    let attacher = FakeAttacher()
    let (world, tools) = try services(attacher)
    var entry = try entry(["https_proxy": "its own"])
    entry.hosts = [try #require(HostRule("api.example.com:443"))]
    let sidecar = sidecar(entry, world, tools)
    _ = try await sidecar.client()
    let request = try #require(attacher.asked.withLock { $0.first?.request })
    #expect(request.listeners == [.init(name: "proxy", port: 3128)])
    #expect(request.environment["HTTPS_PROXY"] == "http://198.18.0.1:3128")
    #expect(request.environment["http_proxy"] == "http://198.18.0.1:3128")
    #expect(request.environment["https_proxy"] == "its own")
    #expect(request.environment["NO_PROXY"] == "")
    _ = await sidecar.stop()
  }

  @Test(
    "it ends with its input, else by TERM, else by KILL, else it is left",
    arguments: [
      (0, [], "exited 0"), (SIGTERM, [SIGTERM], "signal 15"), (SIGKILL, [SIGTERM, SIGKILL], "signal 9"),
      (never, [SIGTERM, SIGKILL, -1], "the supervisor went away; the sandbox ended with it"),
    ]
      as [(Int32, [Int32], String)])
  func end(_ endsWith: Int32, _ signals: [Int32], _ cause: String) async throws {
    let attacher = FakeAttacher(endsWith: endsWith)
    let (world, tools) = try services(attacher)
    let sidecar = sidecar(try entry(), world, tools)
    _ = try await sidecar.client()
    #expect(await sidecar.stop()?.cause == cause)
    if endsWith == never { await attacher.isHungUp.wait() }
    #expect(attacher.signals.withLock { $0 } == signals)
  }

  @Test func `One that must end now is killed at once, and its receipt waited for`() async throws {
    let attacher = FakeAttacher(endsWith: SIGKILL)
    let (world, tools) = try services(attacher)
    let sidecar = sidecar(try entry(), world, tools)
    _ = try await sidecar.client()
    #expect(await sidecar.stop(now: true)?.cause == "signal 9")
    #expect(attacher.signals.withLock { $0 } == [SIGKILL])
  }

  @Test func `Each server has a port of its own, the hub the first`() throws {
    var files = OperatorFiles(servers: [:])
    for name in ["time", "git"] {
      var entry = ServerEntry(name: name, place: .program(command: name, arguments: [], environment: [:]))
      entry.grants = [Grant(service: name, permission: "read")]
      files.servers[name] = entry
    }
    let agent = agent(
      grants: ["hub", "time", "git"].map { Grant(service: $0, permission: "read") },
      change: { $0.mcpServers = [.named("time"), .named("git")] })
    let prepared = Prepared(agent: agent, thread: nil, notifications: [], skills: [])
    let task = ActivationTask(activationID: "a-1", agentID: "claude-coder-1", type: .notification)
    let launch = try Launch(
      prepared, task: task, token: "t", policy: RunnerPolicy(),
      granted: GrantedServers(agent.definition, operator: files))
    #expect(launch.request.listeners.map(\.name).prefix(3) == ["hub", "time", "git"])
    #expect(launch.request.listeners.map(\.port).prefix(3) == [8001, 8002, 8003])
    #expect(launch.request.environment["MCP_TIME_URL"] == "http://198.18.0.1:8002/mcp/time")
    #expect(launch.request.environment["MCP_GIT_URL"] == "http://198.18.0.1:8003/mcp/git")
  }
}
