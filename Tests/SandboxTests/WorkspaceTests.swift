import CLinux
import Glibc
import JSON
import Linux
import Testing

@testable import Sandbox

private let isRoot = geteuid() == 0

/// A supervisor with a directory of workspaces that outlives it.
private final class Ground: Sendable {
  let directory: String

  init() throws {
    var template = Array("/tmp/botburrow-workspaces-XXXXXX".utf8CString)
    _ = try #require(mkdtemp(&template))
    directory = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }
  deinit { try? removeTree(directory) }

  var store: String { directory + "/store" }
  func image(_ agent: String = "agent") -> String { "\(store)/\(agent).ext4" }

  func supervisor(size: String = "16M") throws -> TestSupervisor {
    try TestSupervisor(
      ["--cgroup", "best-effort", "--workspaces", store],
      profiles: ["default": try TestProfile.text(adding: "workspace: { path: /workspace, size: \(size) }")])
  }

  func request(_ script: String, agent: String? = "agent", bytes: Int? = nil) -> SandboxRequest {
    var wanted = SandboxTests.request(["sh", "-c", script], limits: .init(workspaceBytes: bytes))
    wanted.workspace = agent
    return wanted
  }

  func run(
    _ supervisor: TestSupervisor, _ script: String, agent: String? = "agent", bytes: Int? = nil
  ) async throws -> (output: String, exit: ExitCause, workspace: JSONValue?) {
    let result = try await supervisor.launcher.run(
      request(script, agent: agent, bytes: bytes), files: [], input: [], outputLimit: 1 << 20, serve: { _ in })
    return (
      String(decoding: result.output + result.errorOutput, as: UTF8.self), result.receipt.exit,
      result.receipt.json["workspace"]
    )
  }

  /// Whether nobody has the image any more: its lock belongs to the loop device.
  func isFree(_ agent: String = "agent") -> Bool {
    guard let image = try? Descriptor.open(self.image(agent), O_RDWR) else { return false }
    return withExtendedLifetime(image) { flock(image.number, LOCK_EX | LOCK_NB) == 0 }
  }

  var loopDevices: [String] {
    get throws { try attachedImages().filter { $0.hasPrefix(directory) } }
  }
}

@Suite("Workspaces in sandboxes", .serialized, .enabled(if: isRoot, "needs root")) struct WorkspaceTests {
  @Test func `What an agent keeps is its own again, whatever range of ids it has`() async throws {
    let ground = try Ground()
    let supervisor = try ground.supervisor()
    let first = try await ground.run(
      supervisor, "mkdir a; echo kept > a/file; chmod 600 a/file; cat /proc/self/uid_map; stat -c %u:%g . a a/file")
    #expect(first.exit == .exited(code: 0), "\(first.output)")
    #expect(first.output.hasSuffix("1000:1000\n1000:1000\n1000:1000\n"))
    #expect(try ground.loopDevices == [] && ground.isFree())
    // Somebody else has the range now.
    let (output, text) = try await Thread.run {
      let other = try HeldSandbox(supervisor, request(["sh", "-c", "cat /proc/self/uid_map; read x"]))
      return (other, other.line())
    }
    #expect(first.output.hasPrefix(text))
    let second = try await ground.run(
      supervisor, "cat a/file; stat -c %u:%g a/file; echo more >> a/file; ls -A; cat /proc/self/uid_map")
    #expect(second.exit == .exited(code: 0))
    #expect(second.output.hasPrefix("kept\n1000:1000\na\n"), "\(second.output)")
    #expect(!second.output.hasSuffix(text + "\n"))
    // Another agent sees nothing of it.
    #expect(try await ground.run(supervisor, "ls -A", agent: "other").output == "")
    withExtendedLifetime(output) {}
  }

  @Test func `It has its limit and its receipt, and no way to write set-id or device files`() async throws {
    let ground = try Ground()
    let supervisor = try ground.supervisor(size: "64M")
    let full = try await ground.run(
      supervisor, "head -c 40000000 /dev/zero > big; echo $?; grep ' /workspace ' /proc/mounts | cut -d ' ' -f 3-4",
      bytes: 16 << 20)
    #expect(full.output.contains("No space left on device"))
    #expect(full.output.contains("ext4 rw,nosuid,nodev"), "\(full.output)")
    #expect(full.workspace?["limit_bytes"] == 16_777_216)
    #expect(full.workspace?["agent"] == "agent" && full.workspace?["path"] == "/workspace")
    #expect((full.workspace?["used_bytes"]?.integer ?? 0) > 10 << 20)
    #expect(try Descriptor.open(ground.image()).status("").st_size == 16 << 20)
    // Control: with the profile's limit it fits.
    let fits = try await ground.run(supervisor, "head -c 40000000 /dev/zero > big && echo $?")
    #expect(fits.output == "0\n")
    let less = try await ground.run(supervisor, "true", bytes: 16 << 20)
    #expect("\(less.exit)".contains("more than the 16777216 that are allowed now"))
  }

  @Test func `Without an agent it is passing`() async throws {
    let ground = try Ground()
    let supervisor = try ground.supervisor()
    for _ in 0..<2 {
      let run = try await ground.run(supervisor, "ls -A; echo x > file; stat -f -c %T .", agent: nil)
      #expect(run.output == "tmpfs\n" && run.workspace == nil)
    }
    #expect(access(ground.store, F_OK) < 0)
  }

  @Test func `The second at the same time is refused, others run`() async throws {
    let ground = try Ground()
    let supervisor = try ground.supervisor()
    let held = try await Thread.run {
      let held = try HeldSandbox(supervisor, ground.request("echo up; read x; echo $x > word"))
      #expect(held.line() == "up")
      return held
    }
    let second = try await ground.run(supervisor, "true")
    #expect(
      "\(second.exit)"
        == """
        setup failed at open workspace agent: the workspace of 'agent' is in use by \
        another activation; try again when that has ended
        """)
    #expect(try await ground.run(supervisor, "true", agent: "other").exit == .exited(code: 0))
    try held.input.write(Array("done\n".utf8))
    #expect(try await Thread.run { try held.receipt().exit } == .exited(code: 0))
    #expect(try await ground.run(supervisor, "cat word").output == "done\n")
  }

  @Test func `A supervisor that is killed leaves neither mount nor device, and nothing is lost`() async throws {
    let ground = try Ground()
    do {
      let supervisor = try ground.supervisor()
      try await Thread.run {
        let held = try HeldSandbox(supervisor, ground.request("echo kept > file; echo up; sleep 60"))
        #expect(held.line() == "up")
        #expect(try ground.loopDevices.count == 1 && !ground.isFree())
        #expect(kill(supervisor.pid, SIGKILL) == 0)
        #expect(try held.outputEnds(within: .seconds(1)))
        #expect(try holds(within: .seconds(1)) { try ground.loopDevices == [] && ground.isFree() })
      }
      #expect(try supervisor.stop() != nil)
    }
    #expect(!(try readFile("/proc/self/mountinfo").contains(ground.directory)))
    // One that died while it made an image.
    try Descriptor.replacing(ground.store + "/half.ext4.new", mode: 0o600).write([1])
    let next = try ground.supervisor()
    #expect(try holds(within: .seconds(1)) { try files(in: ground.store) == ["agent.ext4"] })
    #expect(try await ground.run(next, "cat file").output == "kept\n")
  }

  @Test func `Sandboxes that are killed at any moment give their workspace back`() async throws {
    let ground = try Ground()
    let supervisor = try ground.supervisor()
    try await Thread.run {
      for delay in stride(from: 0, through: 20_000, by: 2000) {
        let sandbox = try HeldSandbox(supervisor, ground.request("echo x >> file; sync; sleep 60"))
        usleep(useconds_t(delay))
        sandbox.connection.hangUp()
        #expect(try sandbox.outputEnds(within: .seconds(2)), "after \(delay) µs")
        #expect(try holds(within: .seconds(2)) { try ground.loopDevices == [] })
      }
    }
    #expect(try await ground.run(supervisor, "ls").exit == .exited(code: 0))
  }

  @Test func `At whatever moment a supervisor is killed, the next one finds whole images and nothing held`()
    async throws
  {
    let ground = try Ground()
    for step in 0..<8 {
      let supervisor = try ground.supervisor()
      // Its root is laid out with the first sandbox; what follows takes as long as it always does.
      #expect(try await ground.run(supervisor, "true", agent: nil).exit == .exited(code: 0))
      try await Thread.run {
        let held = try HeldSandbox(supervisor, ground.request("echo kept > file; sleep 60", agent: "agent-\(step)"))
        usleep(useconds_t(step * 6000))
        #expect(kill(supervisor.pid, SIGKILL) == 0)
        #expect(try held.outputEnds(within: .seconds(1)), "step \(step)")
        #expect(try holds(within: .seconds(1)) { try ground.loopDevices == [] }, "step \(step)")
      }
      #expect(try supervisor.stop() != nil)
    }
    #expect(try files(in: ground.store).contains { $0.hasSuffix(".ext4") })
    let next = try ground.supervisor()
    #expect(try holds(within: .seconds(1)) { try files(in: ground.store).allSatisfy { $0.hasSuffix(".ext4") } })
    for step in 0..<8 {
      let run = try await ground.run(next, "echo x > other && ls", agent: "agent-\(step)")
      #expect(run.exit == .exited(code: 0), "step \(step)")
    }
  }

  @Test func `PID 1 that is killed gives the workspace back`() async throws {
    let ground = try Ground()
    let supervisor = try ground.supervisor()
    try await Thread.run {
      let held = try HeldSandbox(supervisor, ground.request("echo kept > file; echo up; sleep 60"))
      #expect(held.line() == "up")
      for process in try supervisor.sandboxes { #expect(kill(process, SIGKILL) == 0) }
      #expect(try held.receipt().exit == .signal(9))
      // With the receipt all is given back: the agent can run again at once.
      #expect(try ground.loopDevices == [] && ground.isFree())
    }
    #expect(try await ground.run(supervisor, "cat file").output == "kept\n")
  }

  @Test func `Two supervisors may share a directory, not a workspace`() async throws {
    let ground = try Ground()
    let supervisors = [try ground.supervisor(), try ground.supervisor()]
    // Images are made by both at once.
    try await withThrowingTaskGroup(of: ExitCause.self) { group in
      for index in 0..<8 {
        group.addTask { try await ground.run(supervisors[index % 2], "true", agent: "agent-\(index)").exit }
      }
      for try await exit in group { #expect(exit == .exited(code: 0)) }
    }
    #expect(try files(in: ground.store).count == 8)
    let held = try await Thread.run {
      let held = try HeldSandbox(supervisors[0], ground.request("echo up; read x"))
      #expect(held.line() == "up")
      return held
    }
    // The other one waits a while for whoever may be letting go of it.
    let refused = try await ground.run(supervisors[1], "true")
    #expect("\(refused.exit)".contains("in use by another activation"))
    held.connection.hangUp()
    #expect(try await ground.run(supervisors[1], "true").exit == .exited(code: 0))
  }
}
