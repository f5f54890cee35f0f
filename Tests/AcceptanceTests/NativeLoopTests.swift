import Glibc
import JSON
import Linux
import ModelStandIn
import Testing

/// An agent of type `native`, whose model has its name: that is how the stand-in knows what to say to it.
private struct NativeAgent {
  var id: String
  var grants = ["hub:read", "hub:write"]
  /// More of the definition.
  var more = ""

  var yaml: String {
    """
    version: "1.0.0"
    name: \(id)
    type: native
    brain: {provider: local, model: \(id), max_tokens: 1000}
    capabilities: {grants: [\(grants.joined(separator: ", "))], shell: {enabled: true}}
    sandbox: {timeout: 60s}
    \(more)

    """
  }
}

/// `botburrow up` with agents of the native loop and a stand-in of their models.
private struct LoopGround {
  let folder: Folder
  let up: Up
  let standIn: ModelStandIn

  static func with(_ agents: [NativeAgent], _ body: (LoopGround) async throws -> Void) async throws {
    let folder = try Folder()
    defer { folder.remove() }
    try folder.add([])
    for agent in agents {
      try folder.make("definitions/agents/\(agent.id)")
      try folder.write("definitions/agents/\(agent.id)/config.yaml", agent.yaml)
      try folder.write("definitions/agents/\(agent.id)/system-prompt.md", "You are \(agent.id).\n")
    }
    let standIn = try await ModelStandIn.start(Scenario([.init("It speaks out of turn.")]))
    let prices = agents.map { "\($0.id): {input: 10, output: 100}" }.joined(separator: ", ")
    try folder.write(
      "coordinator.yaml",
      """
      coordinator: {stale_threshold: 365d}
      providers:
        local: {api_base: "\(standIn.url)", key: stand-in-key, dialects: [anthropic], prices: {\(prices)}}
      """)
    let up = try await Up.start([], in: folder, arguments: ["--config", "\(folder.path)/coordinator.yaml"])
    do {
      try await body(LoopGround(folder: folder, up: up, standIn: standIn))
    } catch {
      print(up.program.errors)
      throw error
    }
    #expect(try await up.program.terminate(within: .seconds(20)) == .exited(0))
    await standIn.stop()
  }

  /// The agent's comment on a post that mentions it.
  func answer(_ post: String, of agent: String) async throws -> String {
    try await eventually("the answer of \(agent)", within: .seconds(20)) {
      try await up.hub.comments(post).first { $0.author == agent }?.text
    }
  }

  /// The receipt of an agent's activation, once it is there.
  func receipt(_ agent: String) async throws -> JSONValue {
    try await eventually("the receipt of \(agent)", within: .seconds(20)) {
      try files(in: "\(up.directory)/receipts").filter { $0.hasSuffix(".json") }.map {
        try JSONValue(parsing: Array(try readFile("\(up.directory)/receipts/\($0)").utf8))
      }.first { $0["agent_id"]?.string == agent }
    }
  }

  /// Has an agent explore, as an operator would.
  func explore(_ agent: String) async throws {
    let item = try JSON.text(JSONValue.object(["agent_id": .string(agent)]))
    let push = try await Program.start(
      "redis-cli",
      ["/usr/bin/redis-cli", "-s", "\(up.directory)/redis/redis.sock", "LPUSH", "runner:exploration:work", item],
      in: folder.path)
    #expect(try await push.ended(within: .seconds(20)) == .exited(0))
  }

  /// `botburrow activate --watch` beside it.
  func watch(_ agent: String, _ arguments: [String] = []) async throws -> Program {
    let program = try await Program.start(
      "watch",
      [
        Product.botburrow, "activate", agent, "--watch", "--prompt", "Do your work.", "--config",
        "\(folder.path)/coordinator.yaml", "--agents", folder.definitions, "--hub", up.hub.url, "--socket",
        "\(up.directory)/supervisor.sock",
      ] + arguments, in: folder.path, environment: ["HUB_API_KEY": Machine.key])
    return program
  }
}

extension Acceptance {
  /// The loop of this system, through all of it: a mention or an exploration on one side, a comment on the other.
  @Suite(.serialized, .enabled(if: geteuid() == 0, "needs root")) struct NativeLoopTests {
    /// A file, a command, the Hub; then what `proof` says once the command printed what the file holds.
    private func work(_ proof: String) -> [Scenario.Turn] {
      [
        .init(calls: [.init("Write", ["file_path": "word.txt", "content": "burrow"])]),
        .init(calls: [.init("Bash", ["command": "test \"$(cat word.txt)\" = burrow"])]),
        .init("I look it up.", calls: [.init("search", ["query": "burrow"])]), .init(proof),
      ]
    }

    @Test func `A mention becomes a comment, by tools of each kind, with every token counted`() async throws {
      try await LoopGround.with([NativeAgent(id: "worker"), NativeAgent(id: "mute")]) { ground in
        ground.standIn.use(Scenario([], others: ["worker": work("I wrote the word and looked it up.")]))
        let post = try await ground.up.hub.post("@worker what is a burrow?")
        #expect(try await ground.answer(post, of: "worker") == "I wrote the word and looked it up.")
        let receipt = try await ground.receipt("worker")
        let sent = ground.standIn.sent
        let input = sent.input + sent.cacheRead + sent.cacheWrite
        #expect(ground.standIn.entries.count == 4)
        #expect(receipt["status"] == "success" && receipt["exit"] == ["cause": "exited", "code": 0])
        #expect(receipt["consumption"]?["tokens_input"]?.integer == Int64(input))
        #expect(receipt["consumption"]?["tokens_output"]?.integer == Int64(sent.output))
        let told = try await eventually("the consumption", within: .seconds(10)) {
          try await ground.up.hub.consumption("worker").first
        }
        #expect(told["tool_type"] == "native" && told["tokens_input"]?.integer == Int64(input))
        #expect(told["cost_usd"] == receipt["consumption"]?["cost_usd"])
        let calls = ground.up.program.logged("tool call").map { [$0["server"], $0["tool"], $0["status"]] }
        #expect(calls == [["hub", "search", "ok"]])

        // To have nothing to say is no failure.
        ground.standIn.use(Scenario([], others: ["mute": [.init("NOTHING_TO_SAY")]]))
        let other = try await ground.up.hub.post("@mute and you?")
        let silent = try await ground.receipt("mute")
        #expect(silent["status"] == "success" && silent["answer"]?["posted"] == false, "\(silent)")
        #expect(try await ground.up.hub.comments(other).isEmpty)
        let unread = try await ground.up.hub.call("GET", "/notifications?unread=true")
        #expect(unread["notifications"]?.array == [])
      }
    }

    @Test func `An exploration sees what it is interested in and says one thing at most`() async throws {
      let interested = "interests: {keywords: [burrow]}"
      try await LoopGround.with(["eager", "brief", "quiet"].map { NativeAgent(id: $0, more: interested) }) { ground in
        let hub = ground.up.hub
        // Its name comes first: were it in the feed, it would be taken.
        _ = try await hub.post("[scenario accounts] Who does my taxes?")
        // One for each of them: what has an answer is new to nobody.
        func post() async throws -> String { try await hub.post("[scenario digging] How deep is a burrow?") }
        func use(_ turns: [Scenario.Turn]) {
          ground.standIn.use(Scenario([], others: ["digging": turns, "accounts": [.init("I do taxes.")]]))
        }
        func comments(_ post: String) async throws -> [String] {
          try await hub.comments(post).map { "\($0.author): \($0.text)" }
        }

        let first = try await post()
        use([.init(#"{"post_id": "\#(first)", "answer": "Two metres."}"#)])
        try await ground.explore("brief")
        #expect(try await ground.receipt("brief")["answer"]?["posted"] == true)
        #expect(try await comments(first) == ["brief: Two metres."])

        // Three contributions: the first is made.
        let second = try await post()
        use([
          .init(calls: [.init("create_comment", ["post_id": .string(second), "content": "Deep."])]),
          .init(calls: [.init("create_post", ["content": "On warrens"])]),
          .init(#"{"post_id": "\#(second)", "answer": "Very deep."}"#),
        ])
        try await ground.explore("eager")
        let eager = try await ground.receipt("eager")
        #expect(eager["status"] == "success" && eager["effects"]?.array?.count == 1, "\(eager)")
        #expect(try await comments(second) == ["eager: Deep."])
        #expect(try await hub.call("GET", "/search?q=warrens")["results"] == [])
        #expect(try await hub.call("GET", "/search?q=burrow")["results"]?.array?.count == 2)

        let third = try await post()
        use([.init("NOTHING_TO_SAY")])
        try await ground.explore("quiet")
        let quiet = try await ground.receipt("quiet")
        #expect(quiet["status"] == "success" && quiet["answer"]?["posted"] == false, "\(quiet)")
        #expect(try await comments(third) == [])
        // It was asked, with the post before it.
        #expect(ground.standIn.entries.last { $0.model == "quiet" }?.scenario == "digging")
      }
    }

    @Test func `Whoever watches an activation sees its calls, their tokens and their cost`() async throws {
      try await LoopGround.with([NativeAgent(id: "worker", more: "behavior: {max_iterations: 4}")]) { ground in
        ground.standIn.use(Scenario([], others: ["worker": work("Done.")]))
        let watched = try await ground.watch("worker")
        #expect(try await watched.ended(within: .seconds(30)) == .exited(0))
        #expect(watched.output == "Done.\n")
        // Without times and colours; a line of the program may come before or after the gateway's about the same call.
        let lines = watched.errors.split(separator: "\n").map {
          String($0.drop { $0 == " " || $0.isNumber || $0 == "." })
        }
        func matching(_ pattern: Regex<Substring>) -> Int { lines.count { $0.wholeMatch(of: pattern) != nil } }
        #expect(matching(/agent    worker \(native, model worker\), prompt of \d+ bytes/) == 1, "\(watched.errors)")
        #expect(matching(/sandbox  made with profile native, program starts/) == 1)
        // The stand-in's counts of its first turn, at 10 and 100 dollars a million.
        #expect(
          matching(/model    1,031 tokens in, 7 out, \$0\.0110, \d+ ms; so far 1,038 tokens, \$0\.0110/) == 1,
          "\(watched.errors)")
        #expect(matching(/tool     hub\.search: ok, \d+ bytes, \d+ ms/) == 1, "\(watched.errors)")
        #expect(matching(/tool     Write: ok, \d+ bytes, \d+ ms: word\.txt/) == 1, "\(watched.errors)")
        #expect(matching(/tool     Bash: ok, .*: test .*/) == 1 && matching(/said .*/) == 0, "\(watched.errors)")
        let sent = ground.standIn.sent
        let tokens = sent.input + sent.cacheRead + sent.cacheWrite + sent.output
        #expect(tokens == 10_818)
        let last = "end      success: 4 model calls, 3 tool calls, 10,818 tokens, $0.1112"
        #expect(lines.last?.hasPrefix(last) == true, "\(lines.last ?? "")")

        let program = try await ground.watch("worker", ["--json"])
        #expect(try await program.ended(within: .seconds(30)) == .exited(0))
        let events = try program.output.split(separator: "\n").map { try JSONValue(parsing: Array($0.utf8)) }
        let kinds = events.compactMap { $0["event"]?.string }
        #expect(kinds.filter { $0 == "model_call" }.count == 4 && kinds.filter { $0 == "tool_call" }.count == 1)
        #expect(events.last { $0["event"] == "model_call" }?["total_tokens"]?.integer == Int64(tokens))
        #expect(events.last?["event"] == "result" && events.last?["answer"] == "Done.")
        #expect(events.last?["receipt"]?["seccomp_mode"] == 2)

        // Whoever ends it sees its receipt all the same.
        var slow = Scenario.Turn("Too late.")
        slow.firstByte = .seconds(60)
        ground.standIn.use(Scenario([], others: ["worker": [slow]]))
        let ended = try await ground.watch("worker", ["--json"])
        try await until("the program's start", within: .seconds(20)) { ended.output.contains(#""event":"started""#) }
        #expect(try await ended.terminate() == .exited(1))
        // The call that was cut off may be told of after it.
        let told = try ended.output.split(separator: "\n").map { try JSONValue(parsing: Array($0.utf8)) }
        let result = told.first { $0["event"] == "result" } ?? .null
        #expect(result["status"] == "cancelled" && result["receipt"]?["exit"] == ["cause": "cancelled"], "\(result)")
      }
    }

    @Test func `A note of one activation is in the prompt of the next, as far as there is room`() async throws {
      let memory = "memory: {enabled: true, max_size_mb: 2, retrieval: {strategy: embedding_search}}"
      let agents = [NativeAgent(id: "keeper", more: memory), NativeAgent(id: "stranger", more: memory)]
      try await LoopGround.with(agents) { ground in
        let hub = ground.up.hub
        // The note names what is said where it is read: in its own activation from the second turn on, in the next from the first.
        let note = "Burrowing owls: [scenario remembered] they nest in old burrows."
        let full = "head -c 8000000 /dev/zero > /memory/much; echo \"[scenario code-$?]\""
        ground.standIn.use(
          Scenario(
            [
              .init(calls: [.init("Write", ["file_path": "/memory/notes/owls.md", "content": .string(note)])]),
              .init("It was not written."),
            ],
            others: [
              "remembered": [
                .init("I remember: they nest in old burrows."),
                .init(calls: [.init("Bash", ["command": .string(full)])]),
                .init("There was room for everything."),
              ],
              // What is too much is refused, and the note is written.
              "code-1": [.init(), .init(), .init("I wrote it down.")],
            ]))
        let first = try await hub.post("@keeper burrowing owls nest in old burrows")
        #expect(try await ground.answer(first, of: "keeper") == "I wrote it down.")
        let second = try await hub.post("@keeper where do owls nest?")
        #expect(try await ground.answer(second, of: "keeper") == "I remember: they nest in old burrows.")
        let fallback = ground.up.program.logged("embedding_search isn't there, notes are found by keyword")
        #expect(fallback.contains { $0["agent_id"] == "keeper" })
        #expect(ground.up.program.logged("notes can't be read").isEmpty)
        // The controls: another subject doesn't bring it up, and another agent has none of it.
        ground.standIn.use(Scenario([.init("I know nothing.")], others: ["remembered": [.init("I remember.")]]))
        let other = try await hub.post("@keeper what time is it?")
        #expect(try await ground.answer(other, of: "keeper") == "I know nothing.")
        let foreign = try await hub.post("@stranger where do owls nest?")
        #expect(try await ground.answer(foreign, of: "stranger") == "I know nothing.")
      }
    }
  }
}
