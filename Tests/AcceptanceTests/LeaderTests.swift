import Glibc
import HTTPServer
import JSON
import Linux
import Synchronization
import Testing

/// Two coordinators on one Redis. Mostly waiting, so these run beside the other tests.
@Suite struct LeaderTests {
  private func leads(_ machine: Machine, _ name: String) async throws -> Bool {
    try await machine.metrics(name)["botburrow_leader"] == 1
  }
  private func polls(_ machine: Machine, _ name: String) async throws -> Double {
    try await machine.metrics(name)["botburrow_polls_total{result=\"ok\"}"] ?? 0
  }
  private func assigned(_ machine: Machine, _ name: String) async throws -> Double {
    try await machine.metrics(name)["botburrow_assigned_total{pool=\"notification\",task_type=\"notification\"}"] ?? 0
  }

  @Test(.timeLimit(.minutes(2))) func whenTheLeaderIsKilledTheOtherPolls() async throws {
    try await Machine.with(.init(agents: [.echo("echo-one")])) { machine in
      let first = try await machine.coordinator("first")
      try await until("first polls", within: .seconds(10)) { try await polls(machine, "first") > 0 }
      let second = try await machine.coordinator("second")
      // While the first goes on and renews its lock, the second does not lead and does not poll.
      func rest() async throws -> Int { Int(try await machine.redisCLI(["PTTL", "coordinator:leader"])) ?? 0 }
      try await until("the lock ages", within: .seconds(10)) { try await rest() < 8500 }
      try await until("first goes on", within: .seconds(10)) { try await rest() > 8500 }
      #expect(try await leads(machine, "first"))
      #expect(try await !leads(machine, "second"))
      #expect(try await polls(machine, "second") == 0)

      try await first.kill9()
      let post = try await machine.hubAPI.post("@echo-one hello")
      try await until("second polls", within: .seconds(15)) { try await polls(machine, "second") > 0 }
      #expect(try await leads(machine, "second"))
      try await until("the mention is queued", within: .seconds(30)) {
        try await machine.redisCLI(["LLEN", "runner:notification:work"]) == "1"
      }
      #expect(try await machine.redisCLI(["LINDEX", "runner:notification:work", "0"]).contains("\"\(post)\""))
      #expect(try await second.terminate() == .exited(0))
      #expect(try await machine.redisCLI(["EXISTS", "coordinator:leader"]) == "0")
    }
  }

  @Test(.timeLimit(.minutes(2))) func aLeaderThatWasStoppedFor30SecondsWritesNothing() async throws {
    try await Machine.with(.init(agents: [.echo("echo-one")])) { machine in
      let first = try await machine.coordinator("first")
      try await until("first polls", within: .seconds(10)) { try await polls(machine, "first") > 0 }
      let second = try await machine.coordinator("second")
      try first.signal(SIGSTOP)
      let stopped = ContinuousClock.now
      _ = try await machine.hubAPI.post("@echo-one hello")
      try await until("second queues it", within: .seconds(15)) { try await assigned(machine, "second") == 1 }
      try await Task.sleep(until: stopped + .seconds(30))
      let epoch = try await machine.redisCLI(["GET", "botburrow:epoch"])
      let lock = try await machine.redisCLI(["GET", "coordinator:leader"])
      try first.signal(SIGCONT)
      try await until("first knows", within: .seconds(30)) { try await !leads(machine, "first") }
      let again = try await polls(machine, "second")
      try await until("second goes on", within: .seconds(10)) { try await polls(machine, "second") >= again + 4 }
      #expect(try await leads(machine, "second"))
      #expect(try await !leads(machine, "first"))
      #expect(try await assigned(machine, "first") == 0)
      #expect(try await machine.count("enqueued") == 1)
      #expect(try await machine.redisCLI(["LLEN", "runner:notification:work"]) == "1")
      #expect(try await machine.redisCLI(["GET", "botburrow:epoch"]) == epoch)
      #expect(try await machine.redisCLI(["GET", "coordinator:leader"]) == lock)
      for daemon in [first, second] { #expect(try await daemon.terminate() == .exited(0)) }
    }
  }

  /// The worst moment: stopped between the Hub's answer and the queue, with a mention in hand that the new leader was never
  /// told of. When it wakes its clock ends its term, or it tries to write, and the script refuses.
  @Test(.timeLimit(.minutes(2))) func whatAStoppedLeaderHadInHandIsNotWritten() async throws {
    let hub = try await HeldHub.start()
    let options = Machine.Options(agents: [.echo("echo-one")], hub: hub.url)
    try await Machine.with(options) { machine in
      let first = try await machine.coordinator("first")
      try await until("first asks the Hub", within: .seconds(10)) { hub.isAsked }
      try first.signal(SIGSTOP)
      try await until("first is stopped", within: .seconds(30)) {
        try readFile("/proc/\(first.pid)/status").contains("State:\tT")
      }
      hub.answer(
        """
        {"notifications":[{"id":"n-late","type":"mention","agent_id":"echo-one","post_id":"p-1","content":"@echo-one hi",
         "created_at":"2026-11-23T00:00:00Z","read":false}]}
        """)
      let second = try await machine.coordinator("second")
      try await until("second leads and polls", within: .seconds(15)) { try await polls(machine, "second") > 0 }
      try first.signal(SIGCONT)
      try await until("first knows", within: .seconds(10)) { try await !leads(machine, "first") }
      let again = try await polls(machine, "second")
      try await until("second goes on", within: .seconds(10)) { try await polls(machine, "second") >= again + 2 }
      #expect(try await machine.redisCLI(["LLEN", "runner:notification:work"]) == "0")
      #expect(try await machine.redisCLI(["EXISTS", "botburrow:notification:n-late"]) == "0")
      #expect(try await machine.count("enqueued") == 0)
      #expect(try await assigned(machine, "first") == 0)
      for daemon in [first, second] { #expect(try await daemon.terminate() == .exited(0)) }
    }
    try await hub.server.stop(grace: .zero)
  }
}

/// A Hub whose first answer about notifications waits for the test, and whose others are empty.
private final class HeldHub: Sendable {
  private struct State {
    var asked = false
    var held: CheckedContinuation<String, Never>?
  }
  private let state = Mutex(State())
  private let running = Mutex<HTTPServer?>(nil)

  static func start() async throws -> HeldHub {
    let hub = HeldHub()
    let server = try await HTTPServer.start(at: .tcp(host: "127.0.0.1", port: 0)) { _ in
      let isFirst = hub.state.withLock { state in
        defer { state.asked = true }
        return !state.asked
      }
      var text = "{\"notifications\":[]}"
      if isFirst {
        text = await withCheckedContinuation { held in hub.state.withLock { $0.held = held } }
      }
      return ServerResponse(status: 200, headers: [("Content-Type", "application/json")], body: Array(text.utf8))
    }
    hub.running.withLock { $0 = server }
    return hub
  }

  var isAsked: Bool { state.withLock { $0.held != nil } }
  var port: Int { running.withLock { $0?.port ?? 0 } }
  var url: String { "http://127.0.0.1:\(port)" }
  var server: HTTPServer {
    get throws { try #require(running.withLock { $0 }) }
  }

  func answer(_ text: String) {
    state.withLock { state in
      state.held?.resume(returning: text)
      state.held = nil
    }
  }
}
