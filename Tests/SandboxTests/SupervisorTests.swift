import CLinux
import Glibc
import JSON
import Linux
import Testing

@testable import Sandbox

private let isRoot = geteuid() == 0

/// What a program that runs in a sandbox, and the one who asked for it, can expect of a supervisor.
@Suite("A real supervisor", .enabled(if: isRoot, "needs root")) struct SupervisorTests {
  /// One for all tests of this suite that leave it as it was.
  private static let shared = Result { try TestSupervisor() }
  private var supervisor: TestSupervisor { get throws { try Self.shared.get() } }

  @Test(
    arguments: [
      ("exit 0", .exited(code: 0)), ("exit 7", .exited(code: 7)), ("exit 255", .exited(code: 255)),
      ("kill -9 $$", .signal(9)), ("kill -15 $$", .signal(15)), ("kill -11 $$", .signal(11)),
    ] as [(String, ExitCause)])
  func `The program's end is the sandbox's`(command: String, cause: ExitCause) async throws {
    let result = try await supervisor.run(["sh", "-c", command])
    #expect(result.receipt.exit == cause)
  }

  @Test func `Streams pass through whole, 5 MB each way`() async throws {
    let input = (0..<5_000_000).map { UInt8(truncatingIfNeeded: $0 &* 31 ^ $0 >> 8) }
    let result = try await supervisor.run(["cat"], input: input)
    #expect(result.receipt.exit == .exited(code: 0))
    #expect(result.output == input)
    #expect(!result.outputTruncated)
    let errors = try await supervisor.run(["sh", "-c", "echo out; echo err >&2"])
    #expect(String(decoding: errors.output, as: UTF8.self) == "out\n")
    #expect(String(decoding: errors.errorOutput, as: UTF8.self) == "err\n")
  }

  @Test func `Output over the limit is cut and said to be`() async throws {
    let result = try await supervisor.run(["sh", "-c", "head -c 3000000 /dev/zero; exit 4"], outputLimit: 1000)
    #expect(result.receipt.exit == .exited(code: 4))
    #expect(result.output.count == 1000 && result.outputTruncated)
  }

  @Test func `Files come in, readable and not writable`() async throws {
    let big = [UInt8](repeating: 65, count: 300_000)
    let result = try await supervisor.run(
      ["sh", "-c", "cat /run/agent/a/b; wc -c < /run/agent/big; echo x > /run/agent/big"],
      files: [("a/b", Array("content\n".utf8)), ("big", big)])
    #expect(String(decoding: result.output, as: UTF8.self) == "content\n300000\n")
    #expect(result.receipt.exit != .exited(code: 0))
  }

  @Test func `A command that isn't there names the operation`() async throws {
    let result = try await supervisor.run(["no-such-command", "x"])
    #expect(
      result.receipt.exit
        == .setupFailed(operation: "run", object: "no-such-command", reason: "ENOENT (No such file or directory)"))
    let directory = try await supervisor.run(["/usr"])
    #expect(
      directory.receipt.exit == .setupFailed(operation: "run", object: "/usr", reason: "EACCES (Permission denied)"))
  }

  @Test func `The time-out ends it within a second`() async throws {
    let result = try await supervisor.run(["sleep", "60"], limits: .init(timeoutSeconds: 0.3))
    #expect(result.receipt.exit == .timeout)
    let wall = result.receipt.json["wall_seconds"]?.double ?? 0
    #expect(wall >= 0.3 && wall < 1.3, "\(wall) s")
  }

  @Test func `Hanging up ends it within a second`() async throws {
    let supervisor = try supervisor
    try await Thread.run {
      let sandbox = try HeldSandbox(supervisor, request(["sh", "-c", "echo up; sleep 60 & sleep 60"]))
      #expect(sandbox.line() == "up")
      sandbox.connection.hangUp()
      #expect(try sandbox.outputEnds(within: .seconds(1)))
    }
  }

  @Test func `Cancelling the launcher's task ends it, and says so`() async throws {
    let supervisor = try supervisor
    let (serving, served) = try makePipe()
    let task = Task {
      try await supervisor.launcher.run(request(["sleep", "60"]), files: [], input: [], outputLimit: 1) { _ in
        served.close()
      }
    }
    _ = try await Thread.run { try serving.readAll(limit: 1) }
    task.cancel()
    let started = ContinuousClock.now
    await #expect(throws: CancellationError.self) { try await task.value }
    // The program itself would take 60.
    #expect(ContinuousClock.now - started < .seconds(30))
  }

  @Test func `An order to end it brings its receipt, whenever it comes`() async throws {
    let supervisor = try supervisor
    try await Thread.run {
      for delay in stride(from: 0, through: 30_000, by: 3000) {
        let sandbox = try HeldSandbox(supervisor, request(["sleep", "60"]))
        usleep(useconds_t(delay))
        try sandbox.connection.end()
        #expect(try sandbox.receipt().exit == .cancelled, "after \(delay) µs")
        #expect(try sandbox.outputEnds(within: .seconds(1)))
      }
    }
    // Given before it is made; given to one that is over.
    let early = SandboxEnd()
    try early.give()
    let launcher = supervisor.launcher
    let unborn = try await launcher.run(
      request(["sleep", "60"]), files: [], input: [], outputLimit: 1, end: early, serve: { _ in })
    #expect(unborn.receipt.exit == .cancelled)
    let end = SandboxEnd()
    let over = try await launcher.run(
      request(["echo", "hello"]), files: [], input: [], outputLimit: 100, end: end, serve: { _ in })
    try? end.give()
    #expect(over.receipt.exit == .exited(code: 0) && over.output == Array("hello\n".utf8))
  }

  @Test func `What the server of its listeners throws ends the sandbox`() async throws {
    struct Unable: Error {}
    let supervisor = try supervisor
    await #expect(throws: Unable.self) {
      _ = try await supervisor.launcher.run(request(["sleep", "60"]), files: [], input: [], outputLimit: 1) { _ in
        throw Unable()
      }
    }
  }

  @Test func `A client may hang up at any moment`() async throws {
    let supervisor = try supervisor
    try await Thread.run {
      for delay in stride(from: 0, through: 30_000, by: 1500) {
        let sandbox = try HeldSandbox(supervisor, request(["sleep", "60"]))
        usleep(useconds_t(delay))
        sandbox.connection.hangUp()
        #expect(try sandbox.outputEnds(within: .seconds(2)), "after \(delay) µs")
      }
      // One that hangs up without a word.
      _ = try PacketSocket.connect(to: supervisor.socket)
    }
    #expect(try await supervisor.run(["true"]).receipt.exit == .exited(code: 0))
  }

  @Test func `Signals are relayed, and the program may answer them`() async throws {
    let supervisor = try supervisor
    try await Thread.run {
      let script = "exec 2>/dev/null; trap 'echo got; exit 3' TERM; echo ready; while :; do sleep 0.02; done"
      let sandbox = try HeldSandbox(supervisor, request(["sh", "-c", script]))
      #expect(sandbox.line() == "ready")
      try sandbox.connection.signal(SIGTERM)
      #expect(sandbox.line() == "got")
      #expect(try sandbox.receipt().exit == .exited(code: 3))
    }
  }

  @Test func `A signal that comes before the program waits for it`() async throws {
    let supervisor = try supervisor
    try await Thread.run {
      for _ in 0..<5 {
        let sandbox = try HeldSandbox(supervisor, request(["sleep", "60"]))
        try sandbox.connection.signal(SIGTERM)
        #expect(try sandbox.receipt().exit == .signal(15))
      }
    }
  }

  @Test func `The receipt shows the walls as the kernel has them`() async throws {
    let result = try await supervisor.run(["true"])
    let receipt = result.receipt.json
    let host = namespaceIDs(pid: "self")
    let namespaces = ["user", "mnt", "pid", "net", "ipc", "uts", "cgroup", "time"]
    for name in namespaces {
      let id = receipt["namespaces"]?[name]?.integer
      #expect(id != nil && id != host[name].map { Int64($0) }, "\(name)")
      #expect(receipt["host_namespaces"]?[name]?.integer == host[name].map { Int64($0) }, "\(name)")
    }
    for name in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
      #expect(receipt["capabilities"]?[name]?.string == "0000000000000000")
    }
    #expect(receipt["seccomp_mode"]?.integer == 2)
    #expect(receipt["no_new_privs"] == .bool(true))
    #expect((receipt["host_uid"]?.integer ?? 0) >= 1_000_000_000)
    #expect(receipt["profile"]?.string == "default")
    #expect(receipt["profile_digest"]?.string?.hasPrefix("sha256:") == true)
    #expect(receipt["exit"] == ["cause": "exited", "code": 0])
    #expect(receipt["limits"]?["timeout_seconds"] == ["value": 600, "enforced_by": "supervisor"])
    // What this host can't limit is said, each with its reason; what it can is enforced by a file.
    let available = try ControlGroup.current().controllers()
    let missing = receipt["not_enforced"]?.array?.compactMap(\.string) ?? []
    for (limit, key, controller) in [
      ("memory", "memory_bytes", "memory"), ("cpus", "cpus", "cpu"), ("pids", "pids", "pids"),
    ] {
      let isMissing = missing.contains {
        $0.hasPrefix("\(limit): the cgroup controller '\(controller)' is not available (")
      }
      #expect(isMissing == !available.contains(controller))
      #expect((receipt["limits"]?[key]?["enforced_by"] == .null) == isMissing)
    }
  }

  @Test func `Listeners are reached from inside, by this sandbox alone`() async throws {
    let supervisor = try supervisor
    let connect = { (port: Int) in ["bash", "-c", "exec 3<>/dev/tcp/198.18.0.1/\(port) && head -n 1 <&3"] }
    let result = try await supervisor.launcher.run(
      request(connect(8081), listeners: [.init(name: "hub", port: 8081)]), files: [], input: [], outputLimit: 1000
    ) { listeners in
      let listener = Descriptor(owning: listeners["hub"] ?? -1)
      Thread.detach {
        guard (try? waitReadable([listener], timeout: .seconds(20))) == [true] else { return }
        let connection = Descriptor(owning: cl_accept(listener.number))
        try? connection.write(Array("hello\n".utf8))
      }
    }
    #expect(String(decoding: result.output, as: UTF8.self) == "hello\n")
    // While one has the port, another hasn't: not the same number, not its own port on another's name.
    let holder = try HeldSandbox(
      supervisor, request(["sh", "-c", "echo up; sleep 60"], listeners: [.init(name: "hub", port: 8082)]))
    #expect(holder.line() == "up")
    let other = try await supervisor.launcher.run(
      request(connect(8082), listeners: [.init(name: "hub", port: 8083)]), files: [], input: [], outputLimit: 1000
    ) { for listener in $0.values { close(listener) } }
    #expect(other.receipt.exit == .exited(code: 1))
    let errors = String(decoding: other.errorOutput, as: UTF8.self)
    #expect(errors.contains("Connection refused"), "\(errors)")
    holder.connection.hangUp()
  }

  @Test func `What isn't sealed, or is a directory, doesn't come in`() async throws {
    let supervisor = try supervisor
    try await Thread.run {
      let null = try Descriptor.open("/dev/null", O_RDWR)
      func answer(_ request: SandboxRequest, _ descriptors: [Descriptor]) throws -> ExitCause {
        let socket = try PacketSocket.connect(to: supervisor.socket)
        try socket.send(try ClientMessage(spawn: request).bytes, descriptors: descriptors)
        let connection = SandboxConnection(socket)
        while true { if case .ended(let receipt) = try connection.next() { return receipt.exit } }
      }
      let open = Descriptor(owning: cl_memfd_create("open"))
      let streams = [null, null, null]
      // A memfd that can still change, and files that can't be sealed at all.
      for file in [open, null, try Descriptor.open("/etc/passwd")] {
        #expect(
          try answer(request(["true"], files: [.init(path: "f")]), streams + [file])
            == .setupFailed(
              operation: "take file", object: "f", reason: "EPERM (Operation not permitted); send a sealed memfd"))
      }
      let directory = try Descriptor.open("/", O_RDONLY | O_DIRECTORY)
      #expect(
        try answer(request(["true"]), [directory, null, null])
          == .setupFailed(
            operation: "take stream", object: "0",
            reason: "EISDIR (Is a directory); pass a file, pipe, socket or terminal"))
    }
  }

  @Test(
    arguments: [
      (Array("nonsense".utf8), "unreadable request: "), (Array("{}".utf8), "the first message must be 'spawn'"),
      // As deep as a packet can be: a reader that recursed would end the supervisor and every sandbox with it.
      ([UInt8](repeating: UInt8(ascii: "["), count: 120_000), "unreadable request: "),
      (
        Array(#"{"spawn":"#.utf8) + [UInt8](repeating: UInt8(ascii: "["), count: 60_000)
          + [UInt8](repeating: UInt8(ascii: "]"), count: 60_000) + Array("}".utf8), "unreadable request: "
      ),
      ([UInt8](repeating: 32, count: 131_073), "a request is at most 131072 bytes and 250 descriptors"),
      ([0xff, 0xfe, 0], "unreadable request: "),
    ] as [([UInt8], String)])
  func `Malformed packets are refused, and the supervisor serves on`(packet: [UInt8], refusal: String) async throws {
    let supervisor = try supervisor
    try await Thread.run {
      let socket = try PacketSocket.connect(to: supervisor.socket)
      try socket.send(packet)
      let error = #expect(throws: SandboxRefused.self) { try SandboxConnection(socket).next() }
      #expect(error?.description.hasPrefix(refusal) == true, "\(String(describing: error))")
    }
    #expect(try await supervisor.run(["true"]).receipt.exit == .exited(code: 0))
  }

  @Test func `A client that talks nonsense later ends its own sandbox`() async throws {
    let supervisor = try supervisor
    try await Thread.run {
      let socket = try PacketSocket.connect(to: supervisor.socket)
      let (output, stdout) = try makePipe()
      try socket.send(
        try ClientMessage(spawn: request(["sleep", "60"])).bytes,
        descriptors: [stdout, stdout, stdout])
      stdout.close()
      let connection = SandboxConnection(socket)
      while true { if case .started = try connection.next() { break } }
      try socket.send([UInt8](repeating: 32, count: 131_073))
      while true {
        if case .ended(let receipt) = try connection.next() {
          #expect(receipt.exit == .cancelled)
          break
        }
      }
      #expect(try output.readAll(limit: 10) == [])
    }
  }

  @Test func `Two activations of one id: the second is refused, the first lives on`() async throws {
    let supervisor = try supervisor
    try await Thread.run {
      let asked = request(["sh", "-c", "echo up; read x; exit 5"])
      let first = try HeldSandbox(supervisor, asked)
      #expect(first.line() == "up")
      let second = try HeldSandbox(supervisor, asked)
      let error = #expect(throws: SandboxRefused.self) { try second.receipt() }
      #expect(error?.description == "activation '\(asked.activationID)' is running already")
      try first.input.write(Array("x\n".utf8))
      #expect(try first.receipt().exit == .exited(code: 5))
    }
  }

  @Test func `Refusals name what is wrong`() async throws {
    let supervisor = try supervisor
    func refusal(_ request: SandboxRequest) async throws -> String {
      do {
        _ = try await supervisor.launcher.run(request, files: [], input: [], outputLimit: 1) { _ in }
        return "nothing"
      } catch let error as SandboxRefused { return error.description }
    }
    var unknown = request(["true"])
    unknown.profile = "nobody"
    #expect(try await refusal(unknown).hasPrefix("profile 'nobody' isn't there: "))
    let long = try await refusal(request(["true", String(repeating: "\"", count: 100_000)]))
    #expect(long.hasSuffix("131072 are the limit; use files"), "\(long)")
    let name = String(repeating: "x", count: 100_000)
    let result = try await supervisor.run([name])
    #expect(
      result.receipt.exit
        == .setupFailed(operation: "run", object: name.prefix(200) + "…", reason: "ENOENT (No such file or directory)"))
  }

  @Test func `PID 1's death is the sandbox's`() async throws {
    let supervisor = try TestSupervisor()
    try await Thread.run {
      let sandbox = try HeldSandbox(supervisor, request(["sh", "-c", "echo up; sleep 60"]))
      #expect(sandbox.line() == "up")
      for pid in try supervisor.sandboxes { kill(pid, SIGKILL) }
      #expect(try sandbox.receipt().exit == .signal(9))
      #expect(try sandbox.outputEnds(within: .seconds(1)))
    }
    _ = try supervisor.stop()
  }
}
