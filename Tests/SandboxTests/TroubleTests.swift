import Glibc
import JSON
import Leftovers
import Linux
import Testing

@testable import Sandbox

private let isRoot = geteuid() == 0

/// What is meant to go well and doesn't: each part hangs, dies or lies at a moment of the test's choice. One after the
/// other: each has a supervisor of its own.
@Suite("Trouble with sandboxes", .enabled(if: isRoot, "needs root"), .serialized) struct TroubleTests {
  @Test func `A stopped PID 1 and a flood of signals don't stop the clock`() async throws {
    let supervisor = try TestSupervisor()
    try await Thread.run {
      let asked = request(["sh", "-c", "echo up; sleep 60"], limits: .init(timeoutSeconds: 1))
      let sandbox = try HeldSandbox(supervisor, asked)
      #expect(sandbox.line() == "up")
      for pid in try supervisor.sandboxes { kill(pid, SIGSTOP) }
      for _ in 0..<3000 { try sandbox.connection.signal(SIGWINCH) }
      #expect(try sandbox.receipt().exit == .timeout)
      #expect(try sandbox.outputEnds(within: .seconds(1)))
    }
    #expect(try supervisor.stop() == .exited(0))
  }

  @Test func `A client that never reads can't keep its sandbox`() async throws {
    let supervisor = try TestSupervisor()
    try await Thread.run {
      let sandbox = try HeldSandbox(supervisor, request(["sleep", "60"], limits: .init(timeoutSeconds: 0.2)))
      #expect(try sandbox.outputEnds(within: .seconds(2)))
      #expect(try holds(within: .seconds(1)) { try supervisor.sandboxes.isEmpty })
    }
    #expect(try supervisor.stop() == .exited(0))
  }

  @Test func `A client that says nothing holds nothing but its connection`() async throws {
    let supervisor = try TestSupervisor()
    let silent = try (0..<20).map { _ in try PacketSocket.connect(to: supervisor.socket) }
    #expect(try await supervisor.run(["true"]).receipt.exit == .exited(code: 0))
    try await Thread.run {
      for socket in silent {
        let error = #expect(throws: SandboxRefused.self) { try SandboxConnection(socket).next() }
        #expect(error?.description == "no request came within 10 s")
      }
    }
    #expect(try supervisor.stop() == .exited(0))
  }

  @Test(arguments: ["/bin/true", "/bin/false"])
  func `Something else in the place of botburrow-init is a failed set-up`(program: String) async throws {
    let supervisor = try TestSupervisor(environment: ["BOTBURROW_INIT=\(program)"])
    let exit = try await Thread.run { try HeldSandbox(supervisor, request(["true"])).receipt().exit }
    #expect(
      exit
        == .setupFailed(
          operation: "mount proc", object: "/proc",
          reason: "EIO (Input/output error); botburrow-init should have done it; reinstall it beside botburrow"))
    #expect(try supervisor.sandboxes.isEmpty)
    #expect(try directories(in: supervisor.group.path).isEmpty)
    #expect(try supervisor.stop() == .exited(0))
  }

  @Test func `Launchers that hang are a failed set-up, and are used again once they go on`() async throws {
    let supervisor = try TestSupervisor()
    #expect(try await supervisor.run(["true"]).receipt.exit == .exited(code: 0))
    let launchers = try supervisor.launchers
    #expect(!launchers.isEmpty)
    for launcher in launchers { kill(launcher, SIGSTOP) }
    try await Thread.run {
      let sandbox = try HeldSandbox(supervisor, request(["true"]))
      #expect(
        try sandbox.receipt().exit
          == .setupFailed(
            operation: "launch", object: "botburrow-init",
            reason: "ETIMEDOUT (Connection timed out); look at what holds it up, then try again"))
      #expect(try directories(in: supervisor.group.path).isEmpty)
    }
    for launcher in launchers { kill(launcher, SIGCONT) }
    #expect(try await supervisor.run(["true"]).receipt.exit == .exited(code: 0))
    #expect(try holds(within: .seconds(1)) { try supervisor.sandboxes.isEmpty })
    #expect(try supervisor.stop() == .exited(0))
  }

  @Test func `Killed launchers are replaced; what they were doing failed with a reason or went well`() async throws {
    let supervisor = try TestSupervisor()
    #expect(try await supervisor.run(["true"]).receipt.exit == .exited(code: 0))
    for round in 0..<10 {
      try await withThrowingTaskGroup(of: Void.self) { group in
        for _ in 0..<4 {
          group.addTask {
            let exit = try await supervisor.run(["true"]).receipt.exit
            let lost = ExitCause.setupFailed(
              operation: "launch", object: "botburrow-init", reason: "it ended without a word")
            #expect(exit == .exited(code: 0) || exit == lost, "\(exit)")
          }
        }
        for launcher in try supervisor.launchers where round % 2 == 0 || launcher % 2 == 0 { kill(launcher, SIGKILL) }
        try await group.waitForAll()
      }
    }
    #expect(try await supervisor.run(["true"]).receipt.exit == .exited(code: 0))
    #expect(try holds(within: .seconds(1)) { try supervisor.sandboxes.isEmpty })
    #expect(try directories(in: supervisor.group.path).isEmpty)
    #expect(try supervisor.stop() == .exited(0))
  }

  @Test func `Killed while sandboxes are made, it leaves none of them`() async throws {
    try await Thread.run {
      for delay in [0, 3_000, 6_000, 10_000, 15_000, 25_000] as [useconds_t] {
        let supervisor = try TestSupervisor()
        let sandboxes = try (0..<6).map { _ in try HeldSandbox(supervisor, request(["sleep", "60"])) }
        usleep(delay)
        kill(supervisor.pid, SIGKILL)
        for sandbox in sandboxes { #expect(try sandbox.outputEnds(within: .seconds(1)), "after \(delay) µs") }
        _ = try supervisor.stop()
      }
      // The next one takes what their groups were.
      let next = try TestSupervisor()
      #expect(try next.stop() == .exited(0))
    }
  }

  @Test func `Told to end while sandboxes are made, it leaves none of them and no group`() async throws {
    try await Thread.run {
      for delay in [0, 5_000, 12_000] as [useconds_t] {
        let supervisor = try TestSupervisor()
        // Serving for sure, so that its group is there.
        _ = try HeldSandbox(supervisor, request(["true"])).receipt()
        let group = try supervisor.group
        let sandboxes = try (0..<6).map { _ in try HeldSandbox(supervisor, request(["sleep", "60"])) }
        usleep(delay)
        #expect(try supervisor.stop() == .exited(0))
        for sandbox in sandboxes { #expect(try sandbox.outputEnds(within: .seconds(1)), "after \(delay) µs") }
        #expect(access(group.path, F_OK) == -1)
      }
    }
  }

  @Test func `A profile without network gives loopback alone`() async throws {
    let text = try readFile(Repository.profiles + "/default.yaml")
    let changed = text.split(separator: "\n", omittingEmptySubsequences: false).map {
      $0 == "network: gateway" ? "network: none" : String($0)
    }
    let supervisor = try TestSupervisor(profiles: ["default": changed.joined(separator: "\n")])
    let result = try await supervisor.run(["sh", "-c", "tail -n +3 /proc/net/dev | cut -d: -f1; cat /proc/net/route"])
    let lines = String(decoding: result.output, as: UTF8.self).split(separator: "\n")
    #expect(lines.first?.split(separator: " ") == ["lo"])
    #expect(lines.count == 2 && lines.last?.hasPrefix("Iface") == true, "\(lines)")
    let error = await #expect(throws: SandboxRefused.self) {
      try await supervisor.launcher.run(
        request(["true"], listeners: [.init(name: "hub", port: 80)]), files: [], input: [], outputLimit: 1,
        serve: { _ in })
    }
    #expect(error?.description == "profile 'default' has no network, so there can't be listeners")
    #expect(try supervisor.stop() == .exited(0))
  }

  @Test func `A supervisor in the leaf of an earlier one makes its tree beside that leaf`() {
    func base(_ path: String, root: String = "/sys/fs/cgroup") -> String {
      GroupTree.base(of: ControlGroup(path: path), hasType: { $0.path != root }).path
    }
    #expect(base("/sys/fs/cgroup/a.scope/daemons") == "/sys/fs/cgroup/a.scope")
    #expect(base("/sys/fs/cgroup/a.scope") == "/sys/fs/cgroup/a.scope")
    #expect(base("/sys/fs/cgroup/my-daemons") == "/sys/fs/cgroup/my-daemons")
    #expect(base("/sys/fs/cgroup/daemons") == "/sys/fs/cgroup/daemons")
    #expect(base("/sys/fs/cgroup/daemons", root: "/") == "/sys/fs/cgroup")
  }

  @Test func `Limits become the files of a group, as far as there are controllers`() {
    let limits = Profile.Limits(
      memory: 1 << 20, swap: 0, cpus: 1.5, pids: 7, openFiles: 9, fileSize: 9, timeout: .seconds(1))
    let all = GroupTree(root: nil, controllers: ["memory", "cpu", "pids"], shortage: "")
    #expect(
      all.settings(limits).map { "\($0.file) \($0.value)" } == [
        "memory.max 1048576", "memory.swap.max 0", "memory.oom.group 1", "cpu.max 150000 100000", "pids.max 7",
      ])
    #expect(all.missing() == [])
    let some = GroupTree(root: nil, controllers: ["pids"], shortage: "/x has the controllers [pids]")
    #expect(some.settings(limits).map(\.file) == ["pids.max"])
    #expect(
      some.missing() == [
        "memory: the cgroup controller 'memory' is not available (/x has the controllers [pids])",
        "cpus: the cgroup controller 'cpu' is not available (/x has the controllers [pids])",
      ])
  }

  @Test func `User ranges don't overlap, run out, and come back`() throws {
    let ranges = try UserRanges()
    var taken: [(slot: Int, firstID: Int)] = []
    while let range = ranges.take() { taken.append(range) }
    #expect(taken.count == 1000)
    let starts = taken.map(\.firstID).sorted()
    #expect(zip(starts, starts.dropFirst()).allSatisfy { $1 - $0 >= UserRanges.size })
    #expect(starts.allSatisfy { $0 >= 1_000_000_000 && $0 + UserRanges.size < 1 << 31 })
    ranges.giveBack(taken[3].slot)
    #expect(ranges.take()?.firstID == taken[3].firstID)
    #expect(ranges.take() == nil)
  }
}
