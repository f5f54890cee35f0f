import Glibc
import HTTPServer
import JSON
import Linux
import Synchronization
import Testing

extension Acceptance {
  /// Credentials in every place that the operator has for them are looked for everywhere.
  @Suite(.serialized, .enabled(if: geteuid() == 0, "needs root")) struct CanaryTests {
    private static let canaries = [
      "file": "canary-file-51c0a7e2", "systemd": "canary-systemd-8be04d19", "header": "canary-header-e7720c4b",
      "hub": "canary-hub-03f9d6a5", "model": "canary-model-6d1f5b20", "bucket": "canary-bucket-a94c77e3",
    ]

    @Test func `A credential is in its own sidecar and nowhere else`() async throws {
      let canaries = Self.canaries
      let holding = Mutex(false)
      let go = Mutex(false)
      let authorized = Mutex<[String]>([])
      // A server with a URL: it holds the agent's call until everything has been looked at.
      let web = try await HTTPServer.start(at: .tcp(host: "127.0.0.1", port: 0)) { request in
        authorized.withLock { $0.append(request.header("authorization") ?? "") }
        let message = try JSONValue(parsing: request.body)
        let result: JSONValue
        switch message["method"]?.string {
        case "initialize": result = ["protocolVersion": "2025-11-25", "capabilities": ["tools": [:]]]
        case "tools/list": result = ["tools": [["name": "hold", "inputSchema": ["type": "object"]]]]
        case "tools/call":
          holding.withLock { $0 = true }
          while !go.withLock({ $0 }) { try await Task.sleep(for: .milliseconds(10)) }
          // It shows what it was called with, as servers in trouble do.
          result = ["content": [["type": "text", "text": .string(request.header("authorization") ?? "")]]]
        default: return ServerResponse(status: message["id"] == nil ? 202 : 400)
        }
        return try ServerResponse.json(
          JSONValue.object(["jsonrpc": "2.0", "id": message["id"] ?? .null, "result": result]))
      }
      let program = try JSON.text(ProbeServer.program)
      let python = #"command: /usr/bin/python3, args: ["-c", "exec(__import__('os').environ['PROGRAM'])"]"#
      try await ToolGround.with(
        servers: """
          servers:
            file: {\(python), env: {PROGRAM: \(program), TOKEN: "${KEY}"}, grants: [t:use]}
            systemd: {\(python), env: {PROGRAM: \(program), TOKEN: "${KEY}"}, grants: [t:use]}
            none: {\(python), env: {PROGRAM: \(program)}, grants: [t:use]}
            web: {url: "http://127.0.0.1:\(web.port)/mcp", headers: {Authorization: "Bearer ${KEY}"}, grants: [t:use]}
          """,
        secrets: [
          "file": "KEY=\(canaries["file"] ?? "")\nUNUSED=canary-unused-19ac\n",
          "web": "KEY=\(canaries["header"] ?? "")\n",
        ], configuration: #"providers: {anthropic: {key: "${ANTHROPIC_API_KEY}"}}"#
      ) { ground in
        try ground.folder.make("credentials")
        try ground.folder.write("credentials/systemd.env", "KEY=\(canaries["systemd"] ?? "")\n")
        chmod("\(ground.folder.path)/credentials/systemd.env", 0o400)
        try ground.add(
          agent: "caller", grants: ["t:use"], servers: ["file", "systemd", "none", "web"],
          script: """
            told = {server: call(server, "token") for server in ["file", "systemd", "none"]}
            told["web"] = call("web", "hold")
            told["environment"] = dict(os.environ)
            print(json.dumps(told))
            """)
        let agent = try await ground.start(
          "caller",
          environment: [
            "CREDENTIALS_DIRECTORY": "\(ground.folder.path)/credentials", "HUB_API_KEY": canaries["hub"] ?? "",
            "ANTHROPIC_API_KEY": canaries["model"] ?? "", "R2_SECRET_ACCESS_KEY": canaries["bucket"] ?? "",
          ])
        try await until("the agent's last call", within: .seconds(60)) { holding.withLock { $0 } }

        let sandboxes = try Sandboxes(of: ground.supervisor.pid)
        #expect(sandboxes.all.count == 4, "\(sandboxes.all.map(\.name))")
        for sandbox in sandboxes.all {
          for (source, canary) in canaries {
            let found = try sandbox.places(of: canary)
            if source == sandbox.name {
              // The control: in its own sidecar it is, in environment and memory.
              #expect(found.contains { $0.hasSuffix("environ") }, "\(source) in \(sandbox.name)")
              #expect(found.contains { $0.hasSuffix("mem") }, "\(source) in \(sandbox.name)")
            } else {
              #expect(found == [], "\(source) in \(sandbox.name)")
            }
          }
          #expect(try sandbox.places(of: "canary-unused-19ac") == [], "what no entry refers to")
        }
        // The controls of the looking: the runner has them, and the supervisor's memory can be read.
        for source in ["header", "model"] {
          #expect(try Sandboxes.memory(of: agent.pid, holds: canaries[source] ?? ""), "\(source) in the runner")
        }
        #expect(try Sandboxes.memory(of: ground.supervisor.pid, holds: ground.folder.path))
        // Not in the supervisor, which handed it on; not on any command line.
        for pid in [ground.supervisor.pid] + sandboxes.launchers {
          for canary in canaries.values {
            #expect(try Sandboxes.memory(of: pid, holds: canary) == false, "\(canary) in \(pid)")
          }
        }
        for pid in Processes.all where pid != getpid() {
          #expect(!canaries.values.contains { Processes.commandLine(pid).contains($0) })
        }
        go.withLock { $0 = true }
        let outcome = try await ground.outcome(of: agent)
        // Each had its own, and the one with a URL was called with its own, which it can't hand on.
        #expect(outcome.said["file"]?.string?.utf8.count == 66)
        #expect(outcome.said["file"] != outcome.said["systemd"])
        #expect(outcome.said["web"] == "Bearer ***")
        #expect(authorized.withLock { Set($0) } == ["Bearer \(canaries["header"] ?? "")"])
        for (name, text) in [
          ("log", outcome.program.errors), ("output with receipt", outcome.program.output),
          ("supervisor's log", ground.supervisor.errors),
        ] {
          #expect(!text.isEmpty)
          for canary in canaries.values { #expect(!text.contains(canary), "\(canary) in the \(name)") }
        }
        #expect(outcome.program.logged("tool call").count == 4)
        let ended = outcome.json["tool_servers"]?.array ?? []
        #expect(ended.compactMap { $0["server"]?.string } == ["file", "none", "systemd"])
        #expect(ended.allSatisfy { $0["end"] == "exited 0" && $0["sandbox"]?["seccomp_mode"] == 2 })
      }
      await web.stop(grace: .zero)
    }
  }
}

/// The sandboxes of a supervisor, looked at from outside.
private struct Sandboxes {
  struct One {
    /// The server whose sidecar it is, or `agent`.
    var name: String
    var pids: [pid_t]

    /// Where in it a text is found.
    func places(of text: String) throws -> [String] {
      var places: [String] = []
      for pid in pids {
        for file in ["environ", "cmdline"] where Sandboxes.bytes("/proc/\(pid)/\(file)").contains(text.utf8) {
          places.append("/proc/\(pid)/\(file)")
        }
        if try Sandboxes.memory(of: pid, holds: text) { places.append("/proc/\(pid)/mem") }
      }
      // All files that its processes can write or were given, and descriptors that they hold.
      if let pid = pids.last {
        for directory in ["/tmp", "/run", "/workspace", "/dev/shm", "/etc", "/var/tmp"] {
          places += Sandboxes.filesHolding(text, below: "/proc/\(pid)/root\(directory)")
        }
      }
      return places
    }
  }
  var all: [One] = []
  /// Processes of the supervisor that make sandboxes.
  var launchers: [pid_t] = []

  init(of supervisor: pid_t) throws {
    let own = namespaceIDs(pid: "\(supervisor)")["pid"]
    for child in Processes.children(of: supervisor) {
      guard namespaceIDs(pid: "\(child)")["pid"] != own else {
        launchers.append(child)
        continue
      }
      let pids = [child] + Processes.descendants(of: child)
      let environment = pids.map { String(decoding: Sandboxes.bytes("/proc/\($0)/environ"), as: UTF8.self) }.joined()
      let name: String
      if environment.contains("BOTBURROW_GATEWAY_TOKEN") {
        name = "agent"
      } else if environment.contains("canary-file") {
        name = "file"
      } else if environment.contains("canary-systemd") {
        name = "systemd"
      } else {
        name = "none"
      }
      all.append(One(name: name, pids: pids))
    }
  }

  static func bytes(_ path: String) -> [UInt8] {
    guard let file = try? Descriptor.open(path) else { return [] }
    return (try? file.readAll(limit: 4 << 20)) ?? []
  }

  /// Every readable mapping of a process.
  static func memory(of pid: pid_t, holds text: String) throws -> Bool {
    let maps = try readFile("/proc/\(pid)/maps", limit: 8 << 20)
    let file = try Descriptor.open("/proc/\(pid)/mem")
    let wanted = Array(text.utf8)
    for line in maps.split(separator: "\n") {
      let words = line.split(separator: " ")
      let range = words[0].split(separator: "-").compactMap { UInt64($0, radix: 16) }
      guard range.count == 2, words[1].hasPrefix("r"), !line.hasSuffix("[vvar]"), !line.hasSuffix("[vsyscall]") else {
        continue
      }
      var place = range[0]
      while place < range[1] {
        // Pieces overlap, so that nothing lies across their edges.
        let count = Int(min(range[1] - place, 4 << 20))
        var buffer = [UInt8](repeating: 0, count: count)
        let read = pread(file.number, &buffer, count, off_t(truncatingIfNeeded: place))
        if read > 0, Sandboxes.contains(buffer[..<read], wanted) { return true }
        place += UInt64(count > 8192 && place + UInt64(count) < range[1] ? count - 4096 : count)
      }
    }
    return false
  }

  static func contains(_ bytes: ArraySlice<UInt8>, _ wanted: [UInt8]) -> Bool {
    guard let first = wanted.first else { return false }
    return bytes.withUnsafeBytes { bytes in
      guard let base = bytes.baseAddress else { return false }
      var place = 0
      while place + wanted.count <= bytes.count,
        let found = memchr(base + place, Int32(first), bytes.count - wanted.count + 1 - place)
      {
        if memcmp(found, wanted, wanted.count) == 0 { return true }
        place = base.distance(to: UnsafeRawPointer(found)) + 1
      }
      return false
    }
  }

  static func filesHolding(_ text: String, below directory: String) -> [String] {
    var found: [String] = []
    for name in (try? files(in: directory)) ?? [] {
      let path = "\(directory)/\(name)"
      var status = stat()
      guard lstat(path, &status) == 0 else { continue }
      switch status.st_mode & S_IFMT {
      case S_IFREG: if contains(bytes(path)[...], Array(text.utf8)) { found.append(path) }
      default: continue
      }
    }
    for name in (try? directories(in: directory)) ?? [] { found += filesHolding(text, below: "\(directory)/\(name)") }
    return found
  }
}
