import JSON
import Linux
import Testing

extension Acceptance {
  /// Agents and runners that an operator pauses, with real daemons.
  @Suite(.serialized) struct PauseTests {
    private func queue(_ machine: Machine, _ arguments: [String]) async throws -> String {
      let program = try await Program.start(
        "queue", [Product.botburrow, "queue"] + arguments + ["--redis", "unix://\(machine.redisSocket)"],
        in: machine.folder.path)
      #expect(try await program.ended(within: .seconds(20)) == .exited(0), "\(arguments): \(program.errors)")
      return program.output
    }

    @Test func aPausedAgentIsSilentUntilItIsResumed() async throws {
      try await Machine.with(.init(agents: [.echo("echo-one"), .echo("echo-two")])) { machine in
        let supervisor = try await machine.supervisor()
        let runner = try await machine.runner()
        let coordinator = try await machine.coordinator()
        #expect(try await queue(machine, ["pause", "--agent", "echo-one"]) == "agent echo-one: paused\n")
        let post = try await machine.hubAPI.post("@echo-one and @echo-two, hello")
        try await until("the other's answer", within: .seconds(15)) {
          try await machine.hubAPI.comments(post).map(\.author) == ["echo-two"]
        }
        try await until("its work is parked", within: .seconds(10)) {
          try await machine.redisCLI(["LLEN", "botburrow:parked:echo-one"]) == "1"
        }
        try await until("it is told", within: .seconds(10)) {
          try await machine.metrics("coordinator")["botburrow_paused_agents"] == 1
        }
        #expect(try await machine.hubAPI.comments(post).count == 1)
        #expect(try await queue(machine, ["resume", "--agent", "echo-one"]) == "agent echo-one: resumed\n")
        try await until("its answer", within: .seconds(15)) {
          try await machine.hubAPI.comments(post).map(\.author) == ["echo-two", "echo-one"]
        }
        for daemon in [coordinator, runner, supervisor] { _ = try await daemon.terminate() }
      }
    }

    @Test func aPausedRunnerTakesNothingUntilItIsResumed() async throws {
      try await Machine.with(.init(agents: [.echo("echo-one")])) { machine in
        let supervisor = try await machine.supervisor()
        let runner = try await machine.runner()
        let post = try await machine.hubAPI.post("no mention in here")
        let item: JSONValue = ["agent_id": "echo-one", "post_id": .string(post)]
        try await machine.push(item)
        try await until("the first answer", within: .seconds(15)) { try await machine.count("done") == 1 }
        let claims = {
          try await machine.metrics("runner")[#"botburrow_claims_total{pool="notification",result="paused"}"#]
        }
        #expect(try await claims() == nil)

        let id = try await machine.redisCLI(["ZRANGE", "botburrow:runners", "0", "-1"])
        #expect(id.contains("-notification-\(runner.pid)-"))
        #expect(try await queue(machine, ["drain", "--runner", id]) == "runner \(id): paused, nothing runs\n")
        try await machine.push(item)
        try await until("it was refused", within: .seconds(15)) { try await claims() == 1 }
        #expect(try await machine.redisCLI(["LLEN", "runner:notification:work"]) == "1")
        // It waits and doesn't ask again and again.
        try await Task.sleep(for: .seconds(1))
        #expect(try await claims() == 1)
        #expect(try await queue(machine, ["resume", "--runner", id]) == "runner \(id): resumed\n")
        // Far sooner than it would look again by itself.
        try await until("the second answer", within: .seconds(15)) { try await machine.count("done") == 2 }
        for daemon in [runner, supervisor] { _ = try await daemon.terminate() }
      }
    }
  }
}
