import Glibc
import HTTPServer
import JSON
import Linux
import Synchronization
import Testing

/// What comes in wrong: the exact words, and what goes on all the same.
@Suite struct BadInputTests {
  private func run(
    _ arguments: [String], in folder: Folder, environment: [String: String] = [:]
  ) async throws -> (end: ProcessEnd, output: String, errors: String) {
    let program = try await Program.start(
      "command", [Product.botburrow] + arguments, in: folder.path, environment: environment)
    let end = try await program.ended(within: .seconds(30))
    return (end, program.output, program.errors)
  }

  @Test func configuration() async throws {
    let folder = try Folder()
    defer { folder.remove() }
    let file = "\(folder.path)/c.yaml"
    try folder.write(
      "c.yaml",
      """
      coordinator:
        pol_interval: 30s
        stale_threshold: 4
      hub:
        url: http://localhost:1
        api_key: ${BOTBURROW_NO_SUCH_VARIABLE}
      """)
    let bad = try await run(["config", "check", file], in: folder)
    #expect(bad.end == .exited(1))
    #expect(bad.output == "")
    #expect(
      bad.errors == """
        \(file):2:3: unknown key 'pol_interval'; did you mean 'poll_interval'?
        \(file):3:20: 'stale_threshold' must be a duration such as 500ms, 30s or 1h30m; '4' has no unit
        \(file):6:12: environment variable BOTBURROW_NO_SUCH_VARIABLE is not set; export it or write ${BOTBURROW_NO_SUCH_VARIABLE:-default}

        """)
    // A daemon says the same and does not start.
    let daemon = try await run(["coordinator", "--config", file], in: folder)
    #expect(daemon.end != .exited(0))
    #expect(daemon.errors.contains("\(file):2:3: unknown key 'pol_interval'; did you mean 'poll_interval'?"))

    try folder.write("c.yaml", "coordinator:\n  poll_interval: 30s\n")
    let good = try await run(["config", "check", file], in: folder)
    #expect(good.end == .exited(0))
    #expect(good.output == "\(file): good\nmodel providers: none\ntool servers: hub\n")
  }

  @Test func agentDefinition() async throws {
    let folder = try Folder()
    defer { folder.remove() }
    try folder.add([.echo("good-agent")])
    try folder.make("definitions/agents/bad-agent")
    let file = "\(folder.definitions)/agents/bad-agent/config.yaml"
    try writeNew(
      file,
      """
      version: "1.0.0"
      name: bad-agent
      type: custom
      brain: {modell: none}
      capabilities: {}
      executor: {command: /bin/true}
      """)
    let bad = try await run(["agents", "check", folder.definitions, "--profiles", Product.profiles], in: folder)
    #expect(bad.end == .exited(1))
    #expect(
      bad.output.hasPrefix(
        """
        bad-agent
          wrong: \(file):4:8: 'model' is missing in 'brain'
          wrong: \(file):4:9: unknown key 'modell'; did you mean 'model'?
        good-agent

        """), "\(bad.output)")

    unlink(file)
    rmdir("\(folder.definitions)/agents/bad-agent")
    let good = try await run(["agents", "check", folder.definitions, "--profiles", Product.profiles], in: folder)
    #expect(good.end == .exited(0))
    // Nobody needs the system's secrets to look at definitions: none of these variables is set, no key is there to be read.
    try folder.write(
      "coordinator.yaml",
      """
      hub: {url: "http://127.0.0.1:9", api_key: "${HUB_API_KEY}"}
      redis: {url: "${REDIS_URL}"}
      definitions: {directory: "\(folder.definitions)"}
      providers: {anthropic: {key: "${ANTHROPIC_API_KEY}"}, openai: {key_file: /nowhere/key}}
      """)
    let configuration = "\(folder.path)/coordinator.yaml"
    let whole = try await run(
      ["agents", "check", "--config", configuration, "--profiles", Product.profiles], in: folder)
    #expect(whole.end == .exited(0), "\(whole.errors)")
    #expect(try await run(["config", "check", configuration], in: folder).end == .exited(1))
  }

  @Test func profile() async throws {
    let folder = try Folder()
    defer { folder.remove() }
    let profile = try readFile("\(Product.profiles)/default.yaml")
    try folder.make("profiles")
    try folder.write("profiles/default.yaml", profile)
    try folder.write("profiles/odd.yaml", profile.replacing("network: gateway", with: "network: everything"))
    func sandbox(_ profile: String) async throws -> (end: ProcessEnd, output: String, errors: String) {
      try await run(
        [
          "sandbox", "run", "--standalone", "--cgroup", "best-effort", "--profiles", "\(folder.path)/profiles",
          "--profile", profile, "--", "/bin/echo", "ran",
        ], in: folder)
    }
    let odd = try await sandbox("odd")
    #expect(odd.end == .exited(125))
    #expect(odd.output == "")
    #expect(
      odd.errors == """
        botburrow: profile 'odd' can't be used: \(folder.path)/profiles/odd.yaml:35:10: \
        'network' must be one of gateway, none, not 'everything'

        """)
    let unknown = try await sandbox("nowhere")
    #expect(unknown.end == .exited(125))
    #expect(
      unknown.errors == """
        botburrow: profile 'nowhere' isn't there: \(folder.path)/profiles/nowhere.yaml doesn't exist; \
        the profiles here are default, odd

        """)
    let escape = try await sandbox("../default")
    #expect(escape.end == .exited(125))
    #expect(
      escape.errors == "botburrow: profile '../default' must be a name of small letters, digits and '-'\n")
    let good = try await sandbox("default")
    // The odd one does not keep the others from running.
    #expect(good.output == "ran\n", "\(good.errors)")
  }

  /// The coordinator lives through whatever a Hub says, says what was wrong, and counts it.
  @Test func hubJSON() async throws {
    let said = Mutex<(status: Int, text: String)>((200, "{\"notifications\":[]}"))
    let hub = try await HTTPServer.start(at: .tcp(host: "127.0.0.1", port: 0)) { _ in
      let (status, text) = said.withLock { $0 }
      return ServerResponse(status: status, headers: [("Content-Type", "application/json")], body: Array(text.utf8))
    }
    let options = Machine.Options(agents: [.echo("echo-one")], hub: "http://127.0.0.1:\(hub.port)")
    try await Machine.with(options) { machine in
      let coordinator = try await machine.coordinator()
      for (status, text, sentence) in Self.garbage {
        said.withLock { $0 = (status, text) }
        try await until("the sentence about \(text)", within: .seconds(20)) {
          coordinator.logged("the Hub failed").contains { $0["error"]?.string == sentence }
        }
        // A good answer in between: the back-off begins anew.
        said.withLock { $0 = (200, "{\"notifications\":[]}") }
        let polls = try await machine.metrics("coordinator")["botburrow_polls_total{result=\"ok\"}"] ?? 0
        try await until("a good poll", within: .seconds(20)) {
          try await machine.metrics("coordinator")["botburrow_polls_total{result=\"ok\"}"] ?? 0 > polls
        }
      }
      let metrics = try await machine.metrics("coordinator")
      #expect(metrics["botburrow_polls_total{result=\"hub_error\"}"] ?? 0 >= Double(Self.garbage.count))
      #expect(metrics["botburrow_hub_errors_total{operation=\"GET /notifications\",status=\"500\"}"] ?? 0 > 0)

      // One bad entry does not keep the good one beside it.
      said.withLock {
        $0 = (
          200,
          """
          {"notifications":[{"id":"n-1","type":"mention"},
           {"id":"n-2","type":"mention","agent_id":"echo-one","post_id":"p-1","created_at":"2026-11-23T00:00:00Z"}]}
          """
        )
      }
      try await until("the good one", within: .seconds(20)) { try await machine.count("enqueued") == 1 }
      let entries = coordinator.logged("a notification can't be read").compactMap { $0["error"]?.string }
      #expect(entries == ["notifications[0]: 'agent_id' is missing"])
      #expect(try await machine.metrics("coordinator")["botburrow_unreadable_notifications_total"] == 1)
      #expect(try await coordinator.terminate() == .exited(0))
    }
    await hub.stop(grace: .zero)
  }

  private static let garbage: [(Int, String, String)] = [
    (
      200, "<html>It works!</html>",
      "Hub: GET /notifications: answered 200 with a body that is not JSON: byte 1 can't stand there"
    ),
    (200, "[]", "Hub: GET /notifications: answered 200 with a body in which the whole is not an object"),
    (
      200, "{\"notifications\": 7}",
      "Hub: GET /notifications: answered 200 with a body in which 'notifications' is not an array"
    ),
    (
      500, "{\"error\":{\"code\":\"oops\",\"message\":\"the disk is full\"}}",
      "Hub: GET /notifications: answered 500: the disk is full"
    ),
  ]
}
