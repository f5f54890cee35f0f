import JSON
import Linux
import Redis
import TestSupport
import Testing
import Work

extension Acceptance {
  /// `botburrow queue …` at the terminal: what is printed, and how it ends.
  @Suite struct QueueCommandTests {
    private func run(
      _ arguments: [String], _ server: RedisServer, code: Int32 = 0
    ) async throws -> (output: String, errors: String) {
      let folder = try Folder()
      defer { folder.remove() }
      let program = try await Program.start(
        "queue", [Product.botburrow, "queue"] + arguments + ["--redis", "unix://\(server.url.endpoint)"],
        in: folder.path)
      #expect(try await program.ended(within: .seconds(20)) == .exited(code), "\(arguments): \(program.errors)")
      return (program.output, program.errors)
    }
    private func json(_ arguments: [String], _ server: RedisServer, code: Int32 = 0) async throws -> JSONValue {
      try JSONValue(parsing: Array(try await run(arguments + ["--json"], server, code: code).output.utf8))
    }

    @Test func workIsShownPausedDrainedTriedAgainAndThrownAway() async throws {
      let server = try await RedisServer()
      let plain = RedisConnection(server.url)
      let queue = WorkQueue(server.url)
      defer {
        plain.close()
        queue.close()
      }
      for item in [#"{"agent_id":"a1","activation_id":"x"}"#, #"{"agent_id":"a2","activation_id":"y"}"#] {
        _ = try await plain.command(["LPUSH", "runner:notification:work", RedisArgument(item)])
      }
      guard case .claimed(let lease) = try await queue.claim([.notification], runner: "r1", runnerCap: 9, globalCap: 9)
      else { throw TestServerError("nothing was claimed") }

      let status = try await run(["status"], server).output
      #expect(status.contains("notification  1       1        0       1       open\n"))
      #expect(!status.contains("\u{1B}"))
      #expect(try await json(["status"], server)["pools"]?["notification"]?["leased"] == 1)
      #expect(try await run(["list"], server).output.contains("leased"))
      #expect(try await json(["list", "--state", "queued"], server).array?.first?["id"] == "y")
      #expect(try await json(["show", "y"], server)["agent_id"] == "a2")
      #expect(try await run(["show", "nobody"], server, code: 2).output == "")

      let busy = try await run(["drain", "notification", "--timeout", "0"], server, code: 1)
      #expect(busy.errors.contains("1 activations still run"))
      #expect(try await run(["status"], server).output.contains("paused"))
      #expect(try await queue.claim([.notification], runner: "r1", runnerCap: 9, globalCap: 9) == .paused)
      try await queue.finish(lease, .dead(reason: "hopeless"))
      #expect(try await run(["drain", "notification"], server).output == "notification: paused, nothing runs\n")
      #expect(
        try await run(["resume"], server).output
          == "the whole system: was not paused\nstill paused: botburrow queue resume notification\n")
      #expect(try await json(["resume", "--all"], server)["changed"] == 1)
      #expect(try await run(["pause", "hybrid"], server).output == "hybrid: paused\n")
      #expect(try await run(["pause", "hybrid"], server).output == "hybrid: paused already\n")

      #expect(try await run(["dead"], server).output.contains("hopeless"))
      #expect(try await json(["dead"], server).array?.first?["id"] == "x")
      #expect(try await run(["retry", "x"], server).output == "x  queued\n")
      #expect(try await run(["retry", "nobody"], server, code: 1).output.contains("left: no dead letter"))

      let kept = try await run(["purge", "--pool", "notification"], server, code: 1)
      #expect(kept.errors.contains("would throw 2 items"))
      #expect(try await queue.status().pools[.notification]?.queued == 2)
      #expect(try await json(["purge", "--pool", "notification", "--yes"], server)["purged"] == 2)
      #expect(try await queue.status().pools[.notification]?.queued == 0)
      #expect(try await run(["purge", "nobody", "--yes"], server, code: 1).output.contains("threw 0 of 1"))
    }

    @Test func agentsAndRunnersArePausedDrainedAndResumed() async throws {
      let server = try await RedisServer()
      let plain = RedisConnection(server.url)
      let queue = WorkQueue(server.url)
      defer {
        plain.close()
        queue.close()
      }
      func push(_ agent: String) async throws {
        _ = try await plain.command(["LPUSH", "runner:notification:work", RedisArgument(#"{"agent_id":"\#(agent)"}"#)])
      }
      func claim(_ runner: String) async throws -> ClaimOutcome {
        try await queue.claim([.notification], runner: runner, runnerCap: 9, globalCap: 9)
      }
      try await push("a1")
      guard case .claimed(let lease) = try await claim("r1") else { throw TestServerError("nothing was claimed") }

      #expect(
        try await run(["drain", "--agent", "a1", "a2", "--timeout", "0"], server, code: 1).errors
          == "botburrow: 1 activations still run, and no new ones are claimed; 'botburrow queue list --state leased'\n")
      #expect(try await run(["drain", "--agent", "a2"], server).output == "agent a2: paused, nothing runs\n")
      #expect(
        try await run(["pause", "--agent", "a1", "--agent", "a3"], server).output
          == "agent a1: paused already\nagent a3: paused\n")
      #expect(try await json(["drain", "--runner", "r1", "--timeout", "0"], server, code: 1)["running"] == 1)
      try await push("a4")
      #expect(try await claim("r1") == .paused)
      #expect(try await run(["pause", "--runner", "r1"], server).output == "runner r1: paused already\n")

      let status = try await run(["status"], server).output
      #expect(status.contains("paused agents 3\n  a1: since "))
      #expect(status.contains("paused runners 1\n  r1: last seen "))
      let shown = try await json(["status"], server)
      #expect(shown["paused_agents"]?["count"] == 3)
      #expect(shown["paused_agents"]?["first"]?.array?.first?["agent_id"] == "a1")
      #expect(shown["paused_runners"]?["first"]?.array?.first?["runner"] == "r1")

      // The drain ends when what it waits for does.
      async let drained = run(["drain", "--runner", "r1"], server)
      try await queue.finish(lease, .done)
      #expect(try await drained.output == "runner r1: paused, nothing runs\n")
      #expect(
        try await run(["resume", "--runner", "r1", "r2"], server).output
          == "runner r1: resumed\nrunner r2: was not paused\n")
      guard case .claimed(let next) = try await claim("r1") else { throw TestServerError("nothing was claimed") }
      #expect(next.item.agentID == "a4")

      // Ten failures in a row: it rests as well.
      _ = try await plain.command(["ZADD", "botburrow:failures", "10", "a1"])
      _ = try await plain.command(["ZADD", "botburrow:resting", "99999999999999", "a1"])
      #expect(
        try await run(["resume", "--agent", "a1", "a2", "a9"], server).output == """
          agent a1: resumed; its failures are forgotten, it rests no more
          agent a2: resumed
          agent a9: was not paused

          """)
      #expect(try await run(["resume", "--all"], server).output == "everything: resumed, 1 pauses ended\n")
      #expect(try await run(["resume", "--all"], server).output == "nothing was paused\n")
      #expect(try await run(["pause", "hybrid", "--agent", "a1"], server, code: 64).errors.contains("give pools, or"))
      #expect(try await run(["pause", "--agent", "a/b"], server, code: 64).errors.contains("can't be an id"))
    }

    @Test func whatCannotBeAskedSaysSo() async throws {
      let server = try await RedisServer()
      server.kill9()
      #expect(try await run(["status"], server, code: 1).errors.contains("can't be reached"))
      // 64 (EX_USAGE of sysexits.h) is what wrong words end with.
      #expect(try await run(["purge"], server, code: 64).errors.contains("give one of"))
      #expect(try await run(["list", "--limit", "0"], server, code: 64).output == "")
    }
  }
}
