import AgentLoop
import Glibc
import JSON
import Linux
import ModelStandIn
import Testing

/// The program itself, against a stand-in of the model.
@Suite struct ProgramTests {
  /// Runs a scenario; `check` sees the run and what the stand-in kept.
  private func run(
    _ turns: [Scenario.Turn], dialect: LoopBrief.Dialect = .anthropic, prepare: (ProgramRun) throws -> Void = { _ in },
    _ change: (inout LoopBrief) -> Void = { _ in }, check: (ProgramRun, [JournalEntry]) throws -> Void
  ) async throws {
    let standIn = try await ModelStandIn.start(Scenario(turns))
    var run = try ProgramRun()
    defer { run.remove() }
    try prepare(run)
    var brief = LoopBrief(dialect: dialect, modelURL: standIn.url, model: "m")
    change(&brief)
    try await run.run(brief)
    try check(run, standIn.entries)
    await standIn.stop()
  }

  private static func shell(_ brief: inout LoopBrief) { brief.shell.enabled = true }

  @Test(arguments: [LoopBrief.Dialect.anthropic, .openAIChat])
  func `Every own tool, then the answer, and the tokens that were sent`(dialect: LoopBrief.Dialect) async throws {
    try await run(
      [
        .init(
          "I look.",
          calls: [
            .init("Write", ["file_path": "d/new.txt", "content": "one\ntwo\n"]),
            .init("Read", ["file_path": "d/new.txt"]),
          ]),
        .init(
          calls: [.init("Edit", ["file_path": "d/new.txt", "old_string": "two", "new_string": "three"])]),
        .init(calls: [
          .init("Grep", ["pattern": "thr\\w+", "path": "."]), .init("Glob", ["pattern": "*.txt"]),
          .init("Bash", ["command": "cat d/new.txt; pwd; echo $OWN $BOTBURROW_GATEWAY_TOKEN; exit 3"]),
        ]),
        .init("All done."),
      ], dialect: dialect, Self.shell
    ) { run, entries in
      #expect(run.answer == "All done." && run.exit == 0 && run.iterations == 4, "\(run.output)\(run.errors)")
      let text = try run.read("d/new.txt")
      #expect(text == "one\nthree\n")
      #expect(entries.count == 4 && entries.allSatisfy { $0.streams && $0.key == .right && $0.status == 200 })
      let sent = entries.compactMap(\.usage)
      #expect(
        run.result["usage"]?["tokens_input"]?.integer
          == Int64(
            sent.reduce(0) { $0 + $1.input + (dialect == .anthropic ? $1.cacheRead + $1.cacheWrite : $1.cacheRead) }))
      #expect(run.result["usage"]?["tokens_output"]?.integer == Int64(sent.reduce(0) { $0 + $1.output }))
      #expect(Set(entries.flatMap(\.tools)) == ["Read", "Write", "Edit", "Glob", "Grep", "Bash"])
      for line in ["Write: ok", "Read: ok", "Edit: ok", "Grep: ok", "Glob: ok", "Bash: error"] {
        #expect(run.errors.contains(line), "\(run.errors)")
      }
    }
  }

  @Test func `Without a shell there is no Bash`() async throws {
    try await run([.init("Fine.")]) { run, entries in
      #expect(entries.first?.tools == ["Read", "Write", "Edit", "Glob", "Grep"])
      #expect(run.answer == "Fine.")
    }
  }

  @Test(arguments: [false, true])
  func `Tools of servers are listed page by page and called`(streams: Bool) async throws {
    let clock = try await MCPStandIn.start(token: "stand-in-key", streams: streams)
    try await run(
      [.init(calls: [.init("mcp__clock__now", ["zone": "UTC"]), .init("mcp__clock__broken")]), .init("It is noon.")],
      { $0.servers = [.init(name: "clock", url: clock.url), .init(name: "gone", url: "http://127.0.0.1:1/mcp/gone")] }
    ) { run, entries in
      #expect(run.answer == "It is noon.", "\(run.output)\(run.errors)")
      #expect(entries.first?.tools.suffix(2) == ["mcp__clock__now", "mcp__clock__broken"])
      #expect(run.errors.contains("mcp__clock__now: ok, 11 bytes") && run.errors.contains("mcp__clock__broken: error"))
      #expect(run.errors.contains("the tools of server gone are missing"))
      #expect(clock.requests.count == 4)
    }
    await clock.stop()
  }

  @Test func `Errors of tools go back to the model and end nothing`() async throws {
    try await run(
      [
        .init(calls: [
          .init("Read", ["file_path": "none"]), .init("Read", ["file": "x"]), .init("Read", ["file_path": "/dev/zero"]),
          .init("Edit", ["file_path": "a", "old_string": "zz", "new_string": "y"]), .init("Grep", ["pattern": "(("]),
          .init("Read", ["file_path": "pipe"]), .init("Write", ["file_path": "/proc/none/x", "content": ""]),
        ]), .init("I give up."),
      ],
      prepare: { run in
        try run.write("a", "b")
        mkfifo("\(run.directory)/files/pipe", 0o644)
      }
    ) { run, _ in
      #expect(run.answer == "I give up.")
      #expect(run.errors.split(separator: "\n").count { $0.contains(": error") } == 7, "\(run.errors)")
    }
  }

  @Test func `A command is bounded in time, output and what it leaves`() async throws {
    try await run(
      [
        .init(calls: [.init("Bash", ["command": "sleep 60", "timeout_seconds": 1])]),
        .init(calls: [.init("Bash", ["command": "yes | head -c 10000000"])]),
        .init(calls: [.init("Bash", ["command": "sleep 60 & echo left"])]), .init("Done."),
      ], Self.shell
    ) { run, entries in
      #expect(run.answer == "Done.", "\(run.output)")
      // Two of them would sleep for a minute.
      #expect(run.seconds < 50)
      // 30,000 of ten million bytes went to the model.
      #expect(entries[2].bytes - entries[1].bytes < 50_000)
      #expect(run.errors.contains("Bash: error") && run.errors.contains("Bash: ok"))
    }
  }

  @Test func `Shell rules are kept`() async throws {
    try await run(
      [
        .init(calls: [.init("Bash", ["command": "touch made"]), .init("Bash", ["command": "echo fine"])]),
        .init("Done."),
      ],
      {
        $0.shell.enabled = true
        $0.shell.allowedCommands = ["echo"]
      }
    ) { run, _ in
      #expect(run.answer == "Done.")
      #expect(access("\(run.directory)/files/made", F_OK) != 0)
      #expect(run.errors.contains("Bash: ok") && run.errors.contains("Bash: error"))
    }
  }

  // MARK: Limits

  @Test func `A model that never stops calling is ended by its iterations`() async throws {
    try await run([.init(calls: [.init("Glob", ["pattern": "*"])])], { $0.limits.iterations = 3 }) { run, entries in
      #expect(run.error?.contains("until its 3 calls") == true && run.exit == 1, "\(run.output)")
      #expect(entries.count == 3)
    }
  }

  @Test func `The tokens of the budget are not overdrawn`() async throws {
    try await run(
      [.init(calls: [.init("Glob", ["pattern": "*"])])],
      {
        $0.limits.tokens = 6000
        $0.answerTokens = 500
      }
    ) { run, entries in
      #expect(run.error != nil && run.exit == 1)
      let sent = entries.compactMap(\.usage).reduce(0) { $0 + $1.input + $1.cacheRead + $1.cacheWrite + $1.output }
      #expect(entries.count == 3 && sent < 6000, "\(sent) \(entries.count)")
    }
  }

  @Test func `The time ends a model that is slow`() async throws {
    var slow = Scenario.Turn("Late.")
    slow.firstByte = .seconds(60)
    try await run([slow], { $0.limits.seconds = 1 }) { run, _ in
      #expect(run.error?.contains("time of 1 s") == true && run.seconds < 50, "\(run.output)")
    }
  }

  @Test func `A talk that outgrows the window is shortened and goes on`() async throws {
    let calls: [Scenario.Turn] = (0..<6).map { _ in
      var turn = Scenario.Turn(calls: [.init("Read", ["file_path": "long"])])
      turn.usage = .init(input: 2000, output: 5)
      return turn
    }
    try await run(
      calls + [.init("Read it all.")],
      prepare: { try $0.write("long", String(repeating: "a line of words\n", count: 500)) },
      {
        $0.window = 8000
        $0.answerTokens = 1000
      }
    ) { run, entries in
      #expect(run.answer == "Read it all.", "\(run.output)\(run.errors)")
      #expect(entries.allSatisfy { $0.bytes < 8000 * 8 })
      #expect(entries.map(\.bytes).max() ?? 0 > 10_000)
    }
  }

  // MARK: Misbehaviour

  @Test(arguments: [401, 402, 404])
  func `What no second try would mend is an error at once`(status: Int) async throws {
    try await run([.init(refusal: .init(status))]) { run, entries in
      #expect(run.error?.contains("answered \(status)") == true && run.exit == 1, "\(run.output)")
      #expect(entries.count == 1)
    }
  }

  @Test(arguments: [(429, LoopBrief.Dialect.anthropic), (500, .anthropic), (529, .anthropic), (500, .openAIChat)])
  func `What may pass is tried again`(status: Int, dialect: LoopBrief.Dialect) async throws {
    try await run([.init(refusal: .init(status, retryAfter: 0, times: 2), thenText: "At last.")], dialect: dialect) {
      run, entries in
      #expect(run.answer == "At last.", "\(run.output)")
      #expect(entries.map(\.status) == [status, status, 200])
    }
  }

  @Test func `A failure that lasts is told with its tries`() async throws {
    try await run([.init(refusal: .init(529, retryAfter: 0))]) { run, entries in
      #expect(run.error?.hasSuffix("(tried 4 times)") == true && entries.count == 4, "\(run.output)")
    }
  }

  @Test(arguments: [LoopBrief.Dialect.anthropic, .openAIChat])
  func `A stream that is cut is asked for again, and half an answer is none`(dialect: LoopBrief.Dialect) async throws {
    var cut = Scenario.Turn("Half of an answer that goes on and on.")
    cut.cutAfter = 4
    try await run([cut], dialect: dialect, { $0.limits.seconds = 25 }) { run, entries in
      #expect(run.error != nil && run.answer == nil && entries.count > 1, "\(run.output)")
    }
  }

  @Test func `Nobody at the gateway is an error that names it`() async throws {
    var run = try ProgramRun()
    defer { run.remove() }
    var brief = LoopBrief(dialect: .anthropic, modelURL: "http://127.0.0.1:1", model: "m")
    brief.limits.seconds = 2
    try await run.run(brief)
    #expect(run.error?.contains("127.0.0.1:1") == true && run.exit == 1, "\(run.output)")
  }

  @Test func `Nothing to say, and an exploration's answer`() async throws {
    try await run([.init("NOTHING_TO_SAY")]) { run, _ in
      #expect(run.result["nothing_to_say"] == true && run.exit == 0)
    }
    try await run([.init("{\"post_id\": \"p-7\", \"answer\": \"Owls.\"}")]) { run, _ in
      #expect(run.result["post_id"] == "p-7" && run.answer == "Owls.")
    }
  }

  @Test func `A brief that can't be read is an error that says so`() async throws {
    var run = try ProgramRun()
    defer { run.remove() }
    try await run.run(LoopBrief(dialect: .anthropic, modelURL: "http://localhost.example:1", model: "m"))
    #expect(run.error?.contains("is not http:// with an IPv4 address") == true)
  }
}
