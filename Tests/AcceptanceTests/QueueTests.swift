import JSON
import Linux
import Testing

extension Acceptance {
  /// The queue as other programs use it.
  @Suite(.serialized) struct QueueTests {
    @Test func foreignItemsAreServedAndUnreadableOnesKept() async throws {
      try await Machine.with(.init(agents: [.echo("echo-one")])) { machine in
        let supervisor = try await machine.supervisor()
        let runner = try await machine.runner()
        let post = try await machine.hubAPI.post("no mention in here")
        try await machine.redisCLI(
          ["LPUSH", "runner:notification:work", "{\"agent_id\":\"echo-one\",\"post_id\":\"\(post)\"}"])
        try await until("an answer", within: .seconds(10)) { try await machine.hubAPI.comments(post).count == 1 }
        #expect(try await machine.hubAPI.comments(post).first?.author == "echo-one")

        for (item, reason) in [
          ("not JSON at all", "the work item is not JSON"), ("{\"agent_id\":7}", "'agent_id' is not a string"),
          ("{\"post_id\":\"\(post)\"}", "'agent_id' is missing"),
        ] {
          let before = Int(try await machine.redisCLI(["LLEN", "botburrow:dead"])) ?? 0
          try await machine.redisCLI(["LPUSH", "runner:notification:work", item])
          try await until("the dead letter", within: .seconds(30)) {
            Int(try await machine.redisCLI(["LLEN", "botburrow:dead"])) == before + 1
          }
          let id = try await machine.redisCLI(["LINDEX", "botburrow:dead", "0"])
          let kept = try await machine.redisCLI(["HGET", "botburrow:dead:\(id)", "raw"])
          let said = try await machine.redisCLI(["HGET", "botburrow:dead:\(id)", "reason"])
          #expect(kept == item)
          #expect(said == reason)
        }
        // It goes on.
        try await machine.push(["agent_id": "echo-one", "post_id": .string(try await machine.hubAPI.post("more"))])
        try await until("the next item", within: .seconds(10)) { try await machine.count("done") == 2 }
        _ = try await runner.terminate()
        _ = try await supervisor.terminate()
      }
    }

    /// Redis serves blocked clients in the order in which they began to wait.
    @Test func aPlainConsumerBesideOurRunnerGetsItsTurn() async throws {
      try await Machine.with(.init(agents: [.echo("echo-one")])) { machine in
        let supervisor = try await machine.supervisor()
        let runner = try await machine.runner()
        let consumer = try await Program.start(
          "consumer", ["/usr/bin/redis-cli", "-s", machine.redisSocket, "BRPOP", "runner:notification:work", "20"],
          in: machine.folder.path)
        try await until("both wait", within: .seconds(30)) {
          let clients = try await machine.redisCLI(["CLIENT", "LIST"])
          return clients.contains("cmd=brpop") && clients.contains("cmd=blmove")
        }
        var pushed = 0
        let taken = try await eventually("the consumer's turn", within: .seconds(15)) {
          let post = try await machine.hubAPI.post("number \(pushed)")
          try await machine.push(["agent_id": "echo-one", "post_id": .string(post)])
          pushed += 1
          let text = consumer.output
          return text.contains("agent_id") ? text : nil
        }
        #expect(taken.hasPrefix("runner:notification:work\n{\"agent_id\":\"echo-one\""))
        #expect(try await consumer.ended(within: .seconds(30)) == .exited(0))
        // What it did not take is ours, all of it.
        let others = pushed - 1
        try await until("the others", within: .seconds(20)) { try await machine.count("done") == others }
        #expect(try await machine.redisCLI(["LLEN", "runner:notification:work"]) == "0")
        _ = try await runner.terminate()
        _ = try await supervisor.terminate()
      }
    }

    /// An agent that spoke through its tools has answered.
    @Test func whoCommentedThroughToolsIsNotAnsweredForAgain() async throws {
      try await Machine.with(.init(agents: [.commenter("commenter")])) { machine in
        let supervisor = try await machine.supervisor()
        let runner = try await machine.runner()
        let coordinator = try await machine.coordinator()
        let post = try await machine.hubAPI.post("@commenter say it")
        try await until("its end", within: .seconds(15)) { try await machine.count("done") == 1 }
        #expect(try await machine.hubAPI.comments(post).map(\.text) == ["said through my tools"])
        let receipt = try #require(try machine.receipts(of: "runner").first)
        #expect(receipt["answer"]?["posted"]?.bool == false)
        #expect(receipt["answer"]?["reason"]?.string == "commented itself")
        let unread = try await machine.hubAPI.call("GET", "/notifications?unread=true")
        #expect(unread["notifications"]?.array == [])
        for daemon in [coordinator, runner, supervisor] { _ = try await daemon.terminate() }
      }
    }

    /// The caps hold whoever claims: measured by the agents' own clocks, from inside their sandboxes.
    @Test func capsHoldOverTwoRunners() async throws {
      let agents = (10..<22).map { Agent.shell("slow-\($0)", "a=$(date +%s%N); sleep 0.7; echo $a $(date +%s%N)") }
      try await Machine.with(.init(agents: agents, globalCap: 3, runnerCap: 2)) { machine in
        let supervisor = try await machine.supervisor()
        let runners = [try await machine.runner("runner-1"), try await machine.runner("runner-2")]
        let post = try await machine.hubAPI.post("all of you")
        let items = try agents.map { agent in
          try JSON.text(["agent_id": .string(agent.id), "post_id": .string(post)] as JSONValue)
        }
        try await machine.redisCLI(["LPUSH", "runner:notification:work"] + items)
        try await until("all answers", within: .seconds(40)) { try await machine.count("done") == agents.count }
        let comments = try await machine.hubAPI.comments(post)
        #expect(Set(comments.map(\.author)) == Set(agents.map(\.id)))
        #expect(comments.count == agents.count)
        let spans = Dictionary(
          uniqueKeysWithValues: comments.map { comment in
            (comment.author, comment.text.split(separator: " ").compactMap { Int($0) })
          })
        #expect(most(Array(spans.values)) == 3)
        var served = 0
        for name in ["runner-1", "runner-2"] {
          let mine = try machine.receipts(of: name).compactMap { $0["agent_id"]?.string }
          served += mine.count
          #expect(!mine.isEmpty)
          #expect(most(mine.compactMap { spans[$0] }) <= 2)
        }
        #expect(served == agents.count)
        for daemon in runners + [supervisor] { _ = try await daemon.terminate() }
      }
    }

    /// How many of these spans overlap, at most.
    private func most(_ spans: [[Int]]) -> Int {
      spans.filter { $0.count == 2 }.map { one in spans.filter { $0[0] <= one[0] && one[0] < $0[1] }.count }.max() ?? 0
    }
  }
}
