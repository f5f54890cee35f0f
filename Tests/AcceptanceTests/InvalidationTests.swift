import HTTPClient
import JSON
import Linux
import Redis
import Testing

extension Acceptance {
  /// Definitions that change while daemons run.
  @Suite(.serialized) struct InvalidationTests {
    private static let token = "token-of-the-acceptance-tests"

    private func invalidate(
      _ machine: Machine, at daemon: String, query: String = "", token: String = Self.token
    ) async throws -> (status: Int, body: JSONValue) {
      let answer = try await HubAPI.client.send(
        HTTPRequest(
          method: "POST", url: "http://localhost/api/v1/cache/invalidate\(query)",
          headers: [("Authorization", "Bearer \(token)")],
          unixSocket: "\(machine.folder.path)/\(daemon)-metrics.sock"))
      return (answer.status, try JSONValue(parsing: answer.body))
    }
    private func publish(_ machine: Machine, _ agent: Agent) throws {
      try machine.folder.write("definitions/agents/\(agent.id)/config.yaml", agent.yaml(mark: machine.folder.mark))
    }
    private func answer(_ machine: Machine, _ post: String) async throws -> String? {
      try await eventually("an answer", within: .seconds(20)) { try await machine.hubAPI.comments(post).first?.text }
    }
    private func ask(_ machine: Machine) async throws -> String? {
      let post = try await machine.hubAPI.post("a question")
      try await machine.push(["agent_id": "voice", "post_id": .string(post)])
      return try await answer(machine, post)
    }

    @Test func aChangedDefinitionIsUsedWhenItIsSaidAndABrokenOneIsNot() async throws {
      let options = Machine.Options(
        agents: [.shell("voice", "echo one")], more: "cache: {token: \"${CACHE_TOKEN}\"}",
        environment: ["CACHE_TOKEN": Self.token])
      try await Machine.with(options) { machine in
        let supervisor = try await machine.supervisor()
        let runner = try await machine.runner()
        let coordinator = try await machine.coordinator()
        for daemon in ["runner", "coordinator"] {
          try await until("the \(daemon) listens", within: .seconds(10)) {
            try await machine.metrics(daemon)[#"botburrow_invalidations_heard_total{reason="listening"}"#] == 1
          }
        }
        #expect(try await ask(machine) == "one")
        try publish(machine, .shell("voice", "echo two"))
        #expect(try await ask(machine) == "one")
        // The control: without the token it stays so.
        #expect(try await invalidate(machine, at: "coordinator", token: "another-token-than-that").status == 401)
        #expect(try await ask(machine) == "one")
        let said = try await invalidate(machine, at: "coordinator", query: "?agent=voice")
        #expect(said.status == 200)
        #expect(said.body == ["invalidated": "voice", "daemons": 2])
        try await until("the runner hears", within: .seconds(10)) {
          try await machine.metrics("runner")[#"botburrow_invalidations_heard_total{reason="changed"}"#] == 1
        }
        #expect(try await ask(machine) == "two")

        // A new one that is wrong: said, and not used.
        try machine.folder.write("definitions/agents/voice/config.yaml", "name: somebody-else\n")
        let program = try await Program.start(
          "invalidate",
          [Product.botburrow, "agents", "invalidate", "--redis", "unix://\(machine.redisSocket)", "--json"],
          in: machine.folder.path)
        #expect(try await program.ended(within: .seconds(20)) == .exited(0))
        #expect(try JSONValue(parsing: Array(program.output.utf8)) == ["invalidated": "all", "daemons": 2])
        try await until("the runner hears", within: .seconds(10)) {
          try await machine.metrics("runner")[#"botburrow_invalidations_heard_total{reason="changed"}"#] == 2
        }
        #expect(try await ask(machine) == "two")
        #expect(!runner.logged("new definition is broken; the last good one stays in use").isEmpty)

        // What is said while a daemon can't hear is made up for.
        try publish(machine, .shell("voice", "echo three"))
        machine.redis.kill9()
        try await machine.redis.start()
        try await until("it listens again", within: .seconds(20)) {
          try await machine.metrics("runner")[#"botburrow_invalidations_heard_total{reason="listening"}"#] == 2
        }
        #expect(try await ask(machine) == "three")
        for daemon in [coordinator, runner, supervisor] {
          #expect(try await daemon.terminate() == .exited(0))
          #expect(!daemon.errors.contains(Self.token))
        }
      }
    }

    @Test func eachNewReasonForNotHearingIsLogged() async throws {
      try await Machine.with(.init()) { machine in
        let runner = try await machine.runner()
        func listens(_ times: Double) async throws {
          try await until("it listens", within: .seconds(20)) {
            try await machine.metrics("runner")[#"botburrow_invalidations_heard_total{reason="listening"}"#] == times
          }
        }
        try await listens(1)
        let admin = RedisConnection(machine.redis.url)
        defer { admin.close() }
        // Ends the subscription, which passes, and allows no other, which doesn't.
        _ = try await admin.command(["ACL", "SETUSER", "default", "resetchannels"])
        try await until("both are told", within: .seconds(20)) {
          runner.logged("invalidations of definitions aren't heard for now").count == 2
        }
        let told = runner.logged("invalidations of definitions aren't heard for now")
        #expect(told.last?["error"]?.string?.contains("&botburrow:*") == true, "\(told)")
        _ = try await admin.command(["ACL", "SETUSER", "default", "allchannels"])
        try await listens(2)
        // However often it was tried meanwhile.
        #expect(runner.logged("invalidations of definitions aren't heard for now").count == 2)
        #expect(runner.logged("invalidations of definitions are heard again; all are looked at").count == 1)
        #expect(try await runner.terminate() == .exited(0))
      }
    }

    @Test func theCommandSaysWhatItDid() async throws {
      try await Machine.with(.init()) { machine async throws in
        func run(_ arguments: [String], code: Int32 = 0) async throws -> (output: String, errors: String) {
          let program = try await Program.start(
            "invalidate",
            [Product.botburrow, "agents", "invalidate"] + arguments + ["--redis", "unix://\(machine.redisSocket)"],
            in: machine.folder.path)
          #expect(try await program.ended(within: .seconds(20)) == .exited(code), "\(arguments): \(program.errors)")
          return (program.output, program.errors)
        }
        #expect(
          try await run(["voice"]).output
            == "agent voice: no coordinator or runner listens; those that start read what is there\n")
        #expect(try await run(["Bad Name"], code: 64).errors.contains("can't be an agent's id"))
        machine.redis.kill9()
        #expect(try await run([], code: 1).errors.contains("can't be reached"))
      }
    }
  }
}
