import Glibc
import JSON
import Linux
import Testing

extension Acceptance {
  /// kill -9 in the middle of an activation, of whoever takes part in it: nothing is left running, and the work is answered once.
  @Suite(.serialized) struct CrashTests {
    private static let nap = 3.0

    /// Waits for the answer and then for the queue's word that nothing is under way any more.
    private func answeredOnce(_ machine: Machine, _ post: String, within patience: Duration) async throws {
      try await until("the answer", within: patience) { try await !machine.hubAPI.comments(post).isEmpty }
      try await until("a queue at rest", within: .seconds(10)) {
        let leases = try await machine.redisCLI(["ZCARD", "botburrow:leases"])
        let retries = try await machine.redisCLI(["ZCARD", "botburrow:retries"])
        let waiting = try await machine.redisCLI(["LLEN", "runner:notification:work"])
        return leases == "0" && retries == "0" && waiting == "0"
      }
      #expect(try await machine.hubAPI.comments(post).map(\.text) == ["done after a while"])
      #expect(try await machine.count("done") == 1)
      #expect(try await machine.redisCLI(["LLEN", "botburrow:dead"]) == "0")
    }

    private func gone(_ namespaces: Namespaces) async throws {
      try await until("the sandbox's end", within: .seconds(1)) { Processes.inNamespaces(namespaces).isEmpty }
    }

    @Test func theRunner() async throws {
      // The default lease of 15 s.
      try await Machine.with(.init(agents: [.slow("sleeper", seconds: Self.nap)])) { machine in
        let supervisor = try await machine.supervisor()
        let first = try await machine.runner("runner-1")
        let post = try await machine.hubAPI.post("a question")
        try await machine.push(["agent_id": "sleeper", "post_id": .string(post), "activation_id": "crash-1"])
        let sandbox = try await machine.liveSandbox()
        let second = try await machine.runner("runner-2")
        #expect(Processes.lives(sandbox.pid), "the nap must outlast the second runner's start")
        try await first.kill9()
        try await gone(sandbox.namespaces)
        try await answeredOnce(machine, post, within: .seconds(15 + 5))
        let receipt = try #require(try machine.receipts(of: "runner-2").first)
        #expect(receipt["activation_id"]?.string == "crash-1")
        #expect(receipt["attempt"]?.integer == 1)
        #expect(try await machine.count("expired") == 1)
        try await until("no sandbox is counted", within: .seconds(2)) {
          try await machine.metrics("supervisor")["botburrow_sandboxes"] == 0
        }
        for daemon in [second, supervisor] { _ = try await daemon.terminate() }
      }
    }

    @Test func theSupervisor() async throws {
      try await Machine.with(.init(agents: [.slow("sleeper", seconds: Self.nap)], lease: "6s")) { machine in
        let supervisor = try await machine.supervisor()
        let runner = try await machine.runner()
        let post = try await machine.hubAPI.post("a question")
        try await machine.push(["agent_id": "sleeper", "post_id": .string(post)])
        let sandbox = try await machine.liveSandbox()
        try await supervisor.kill9()
        try await gone(sandbox.namespaces)
        let next = try await machine.supervisor()
        try await answeredOnce(machine, post, within: .seconds(6 + 5))
        // The dead one's cgroups were swept by the next.
        #expect(Up.groups("/sys/fs/cgroup", named: "botburrow-\(supervisor.pid)", depth: 4) == [])
        for daemon in [runner, next] { _ = try await daemon.terminate() }
      }
    }

    @Test func redis() async throws {
      try await Machine.with(.init(agents: [.slow("sleeper", seconds: Self.nap)], lease: "6s")) { machine in
        let supervisor = try await machine.supervisor()
        let runner = try await machine.runner()
        let coordinator = try await machine.coordinator()
        let post = try await machine.hubAPI.post("@sleeper a question")
        let sandbox = try await machine.liveSandbox()
        machine.redis.kill9()
        // Down for longer than a heartbeat's interval.
        let heard = runner.errors.utf8.count
        try await until("the runner notices", within: .seconds(30)) { runner.errors.utf8.count > heard }
        try await machine.redis.start()
        try await answeredOnce(machine, post, within: .seconds(6 + 5))
        try await gone(sandbox.namespaces)
        let unread = try await machine.hubAPI.call("GET", "/notifications?unread=true")
        #expect(unread["notifications"]?.array == [])
        for daemon in [coordinator, runner, supervisor] { _ = try await daemon.terminate() }
      }
    }
  }
}
