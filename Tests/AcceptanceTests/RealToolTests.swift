import Agents
import Configuration
import Executors
import Glibc
import HTTPServer
import JSON
import Linux
import ModelStandIn
import Sandbox
import Synchronization
import Testing

private func isThere(_ program: String) -> Bool { access("/opt/botburrow/tools/bin/\(program)", X_OK) == 0 }

extension Acceptance {
  /// The real tools in their shipped profiles, with the stand-in of the models where the gateway would be: what the executors
  /// start does work inside, and what they read off is so.
  @Suite(.serialized, .enabled(if: geteuid() == 0, "needs root")) struct RealToolTests {
    private func agent(_ kind: AgentDefinition.Kind) -> ExecutorContext {
      var definition = AgentDefinition(id: "test-agent", kind: kind, brain: .init(model: "stand-in"))
      definition.shell.enabled = kind != .aider
      return ExecutorContext(
        agent: LoadedAgent(definition: definition, systemPrompt: "Be kind.", skills: []), activationID: "tool-run",
        taskType: "notification", postID: "1", prompt: "Do your work.\n", systemText: "Be kind.",
        contextJSON: Array("{}".utf8), gatewayToken: "stand-in-key", servers: [],
        model: ModelAccess(
          url: "http://\(gatewayAddress):8000",
          dialects: kind == .claudeCode ? [.anthropic] : [.openAIChat, .openAIResponses]))
    }

    /// One run; gives the answer and all tokens that the stand-in sent.
    private func run(_ kind: AgentDefinition.Kind, _ scenario: Scenario) async throws -> (AgentAnswer, Scenario.Usage) {
      let folder = try Folder()
      defer { folder.remove() }
      let socket = "\(folder.path)/supervisor.sock"
      let supervisor = try await Program.start(
        "supervisor",
        [
          Product.botburrow, "supervisor", "--socket", socket, "--profiles", Product.profiles, "--cgroup",
          "best-effort",
        ], in: folder.path)
      try await until("the supervisor's start", within: .seconds(20)) {
        !supervisor.logged("supervisor started").isEmpty
      }
      let context = agent(kind)
      let executor = try Executors.executor(for: context.agent.definition)
      let plan = try executor.prepare(context)
      let request = SandboxRequest(
        activationID: "tool-run", profile: kind.profile, arguments: plan.arguments, environment: plan.environment,
        listeners: [.init(name: "model", port: 8000)], files: plan.files.map { .init(path: $0.path) },
        workingDirectory: plan.workingDirectory)
      let standIn = Mutex<ModelStandIn?>(nil)
      let result = try await SupervisorLauncher(socket: socket).run(
        request, files: plan.files.map(\.bytes), input: plan.input, outputLimit: 1 << 20,
        serve: { listeners in
          guard let descriptor = listeners["model"] else { return }
          let started = try await ModelStandIn.start(scenario, at: .listener(descriptor: descriptor))
          standIn.withLock { $0 = started }
        })
      let sent = standIn.withLock { $0 }?.sent ?? .init()
      await standIn.withLock { $0 }?.stop()
      let exit: ExecutorOutput.Exit
      switch result.receipt.exit {
      case .exited(let code): exit = .code(code)
      case .signal(let number): exit = .signal(number)
      default: throw NotInTime(description: "the sandbox ended: \(result.receipt.exit)")
      }
      let answer = executor.interpret(
        ExecutorOutput(
          exit: exit, output: result.output, isTruncated: result.outputTruncated, errorOutput: result.errorOutput))
      #expect(try await supervisor.terminate() == .exited(0))
      return (answer, sent)
    }

    /// A file, a command that prints it, and an answer that comes only if it did.
    private func work(_ calls: [Scenario.Call]) -> Scenario {
      Scenario(
        calls.map { .init(calls: [$0]) } + [.init("The file does not hold what was written.")],
        others: ["burrow": [.init(), .init(), .init("It holds the word.")]])
    }

    private func expect(_ got: (AgentAnswer, Scenario.Usage), _ text: String) {
      #expect(got.0.outcome == .text(text))
      #expect(got.0.usage?.tokensInput == got.1.input + got.1.cacheRead + got.1.cacheWrite)
      #expect(got.0.usage?.tokensOutput == got.1.output)
    }

    @Test(.enabled(if: isThere("claude"), "Claude Code isn't in /opt/botburrow/tools; run: make tools"))
    func claudeCode() async throws {
      expect(
        try await run(
          .claudeCode,
          work([
            .init("Write", ["file_path": "/workspace/word.txt", "content": "burrow"]),
            .init("Bash", ["command": "echo \"[scenario $(cat /workspace/word.txt)]\"", "description": "Reads"]),
          ])), "It holds the word.")
      let refused = try await run(.claudeCode, Scenario([.init(refusal: .init(402))]))
      #expect(
        refused.0.outcome == .failed("Claude Code says: api_error: API Error: 402 the stand-in says 402"))
    }

    @Test(.enabled(if: isThere("codex"), "Codex isn't in /opt/botburrow/tools; run: make tools"))
    func codex() async throws {
      let patch = "apply_patch <<'EOF'\n*** Begin Patch\n*** Add File: word.txt\n+burrow\n*** End Patch\nEOF\n"
      expect(
        try await run(
          .codex,
          work([
            .init("exec_command", ["cmd": .string(patch)]),
            .init("exec_command", ["cmd": "echo \"[scenario $(cat /workspace/word.txt)]\""]),
          ])), "It holds the word.")
      let refused = try await run(.codex, Scenario([.init(refusal: .init(401))]))
      guard case .failed(let sentence) = refused.0.outcome else {
        Issue.record("\(refused.0.outcome)")
        return
      }
      #expect(sentence.hasPrefix("Codex says: unexpected status 401 Unauthorized"))
    }

    @Test(.enabled(if: isThere("aider"), "aider isn't in /opt/botburrow/tools; run: make tools"))
    func aider() async throws {
      let answer = try await run(.aider, Scenario([.init("I wrote it.\n\nword.txt\n```\nburrow\n```\n")])).0
      #expect(answer.outcome == .text("I wrote it.\n\nword.txt\n```\nburrow\n```"))
      let refused = try await run(.aider, Scenario([.init(refusal: .init(401))]))
      guard case .failed(let sentence) = refused.0.outcome else {
        Issue.record("\(refused.0.outcome)")
        return
      }
      #expect(sentence.hasPrefix("aider got no whole reply: litellm."))
    }
  }
}
