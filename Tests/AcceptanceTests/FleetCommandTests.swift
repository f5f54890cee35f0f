import Glibc
import JSON
import Linux
import Redis
import TestSupport
import Testing
import Work

extension Acceptance {
  /// `botburrow runners` and `botburrow activations` at the terminal.
  @Suite struct FleetCommandTests {
    private func start(_ arguments: [String], _ server: RedisServer, in folder: Folder) async throws -> Program {
      try await Program.start(
        "fleet", [Product.botburrow] + arguments + ["--redis", "unix://\(server.url.endpoint)"], in: folder.path)
    }
    private func run(
      _ arguments: [String], _ server: RedisServer, code: Int32 = 0
    ) async throws -> (output: String, errors: String) {
      let folder = try Folder()
      defer { folder.remove() }
      let program = try await start(arguments, server, in: folder)
      #expect(try await program.ended(within: .seconds(20)) == .exited(code), "\(arguments): \(program.errors)")
      return (program.output, program.errors)
    }
    private func json(_ arguments: [String], _ server: RedisServer) async throws -> JSONValue {
      try JSONValue(parsing: Array(try await run(arguments + ["--json"], server).output.utf8))
    }
    private func claim(_ id: String, _ queue: WorkQueue, _ server: RedisServer) async throws -> Lease {
      let plain = RedisConnection(server.url)
      defer { plain.close() }
      let item = #"{"agent_id":"agent-\#(id)","activation_id":"\#(id)"}"#
      _ = try await plain.command(["LPUSH", "runner:notification:work", RedisArgument(item)])
      guard case .claimed(let lease) = try await queue.claim([.notification], runner: "r1", runnerCap: 9, globalCap: 9)
      else { throw TestServerError("nothing was claimed") }
      return lease
    }
    private func state(_ step: ActivationStep, tokens: Int = 0) -> LiveState {
      var state = LiveState(step: step, inStep: .seconds(42), idle: .zero)
      (state.tokens, state.modelCalls, state.timeLimit) = (tokens, 3, .seconds(300))
      return state
    }

    @Test func runnersAndActivationsAreListed() async throws {
      let server = try await RedisServer()
      let queue = WorkQueue(server.url)
      defer { queue.close() }
      #expect(try await run(["runners"], server).output.hasPrefix("no runner is there; start one: botburrow runner"))
      #expect(try await json(["runners"], server) == [])
      #expect(try await run(["activations"], server).output == "nothing runs\n")

      let identity = RunnerIdentity(id: "r1", pool: .hybrid, slots: 4, host: "h1", pid: 77, version: "9.8.7")
      try await queue.register(identity, up: .seconds(60))
      let lease = try await claim("x", queue, server)
      #expect(try await run(["activations"], server).output.contains("  claimed  "))
      #expect(try await queue.beat(lease, state(.run, tokens: 1234)))

      let runners = try await run(["runners"], server).output.split(separator: "\n")
      #expect(runners.first == "ID  HOST  POOL    SLOTS  RUNNING  VERSION  STARTED                   LAST SEEN  STATE")
      #expect(runners.last?.hasPrefix("r1  h1    hybrid  4      1        9.8.7    20") == true)
      #expect(runners.last?.hasSuffix(" s ago    serving") == true)
      let runner = try #require(try await json(["runners"], server).array?.first)
      #expect(runner["serves"] == ["hybrid", "notification", "exploration"])
      #expect(runner["pid"] == 77)

      let shown = try await run(["activations"], server).output.split(separator: "\n")
      #expect(shown.first == "ID  AGENT    TASK          POOL          RUNNER  STEP  SINCE  TOKENS")
      #expect(shown.last?.hasPrefix("x   agent-x  notification  notification  r1      run   4") == true)
      #expect(shown.last?.hasSuffix("  1234") == true)
      let activation = try #require(try await json(["activations", "x"], server).array?.first)
      #expect(activation["step"] == "run")
      #expect(activation["tokens"] == 1234)
      #expect(activation["time_limit_seconds"] == 300)
      #expect(try await run(["activations", "x", "y"], server, code: 2).errors.contains("not running: y;"))
      let followed = try await run(["activations", "x", "y", "--follow"], server, code: 2)
      #expect(followed.errors.contains("not running: y;"))
      #expect(followed.output.isEmpty)

      server.kill9()
      #expect(try await run(["runners"], server, code: 1).errors.contains("can't be reached"))
      #expect(try await run(["activations", "--follow"], server, code: 1).errors.contains("can't be reached"))
    }

    @Test func followPrintsChangesUntilItIsInterrupted() async throws {
      let server = try await RedisServer()
      let queue = WorkQueue(server.url)
      let folder = try Folder()
      defer {
        queue.close()
        folder.remove()
      }
      let first = try await claim("x", queue, server)
      let words = try await start(["activations", "--follow"], server, in: folder)
      let lines = try await start(["activations", "--follow", "--json"], server, in: folder)
      func events() -> [JSONValue] {
        lines.output.split(separator: "\n").compactMap { try? JSONValue(parsing: Array($0.utf8)) }
      }
      func until(_ count: Int) async throws {
        try await AcceptanceTests.until("\(count) lines", within: .seconds(15)) {
          lines.output.count { $0 == "\n" } >= count && words.output.count { $0 == "\n" } >= count
        }
      }
      try await until(1)
      let second = try await claim("y", queue, server)
      try await until(2)
      #expect(try await queue.beat(first, state(.run)))
      // A step, and three calls of its model.
      try await until(4)
      #expect(try await queue.beat(first, state(.run, tokens: 500)))
      try await until(5)
      try await queue.finish(first, .done)
      try await until(6)
      try await queue.finish(second, .dead(reason: "hopeless"))
      try await until(7)

      let seen = events().map { event in
        [event["event"], event["id"], event["from"] ?? event["state"]].map { $0?.string ?? "-" }
      }
      #expect(
        seen == [
          ["began", "x", "-"], ["began", "y", "-"], ["step", "x", "-"], ["tokens", "x", "-"], ["tokens", "x", "-"],
          ["ended", "x", "done"], ["ended", "y", "dead"],
        ])
      #expect(events()[4]["tokens"] == 500)
      let text = words.output.split(separator: "\n")
      #expect(text[0].hasSuffix("  began   x  agent-x  notification task of notification, r1"))
      #expect(text[2].hasSuffix("  step    x  agent-x  claimed → run"))
      #expect(text[4].hasSuffix("  tokens  x  agent-x  500 tokens, 3 model calls"))
      #expect(text[5].contains("  ended   x  agent-x  done after "))
      for program in [words, lines] {
        try program.signal(SIGINT)
        #expect(try await program.ended(within: .seconds(10)) == .exited(0), "\(program.errors)")
        #expect(program.errors.isEmpty)
      }
    }

    /// A runner as it is started on a host.
    @Test func aRealRunnerIsThereUntilItEnds() async throws {
      try await Machine.with(.init(agents: [.echo("echo-one")])) { machine in
        let runner = try await machine.runner()
        let queue = WorkQueue(machine.redis.url)
        defer { queue.close() }
        try await AcceptanceTests.until("it is on the list", within: .seconds(10)) {
          try await queue.runners().runners.first?.state == .serving
        }
        let found = try #require(try await queue.runners().runners.first?.identity)
        #expect(found.id.contains("-notification-\(runner.pid)-"))
        #expect(found.pool == .notification)
        #expect(found.slots == 10)
        #expect(found.pid == Int(runner.pid))
        #expect(found.id.hasPrefix(found.host))
        #expect(!found.host.isEmpty && found.version.contains("."))
        _ = try await runner.terminate()
        #expect(try await queue.runners().runners.isEmpty)
      }
    }
  }
}
