import AgentLoop
import Agents
import Configuration
import JSON
import Testing

@testable import Executors

private func context(
  dialects: Set<ModelDialect>? = [.anthropic], timeout: Duration? = nil,
  _ change: (inout AgentDefinition) -> Void = { _ in }
) -> ExecutorContext {
  var definition = AgentDefinition(id: "test-agent", kind: .native, brain: .init(model: "claude-x"))
  change(&definition)
  return ExecutorContext(
    agent: LoadedAgent(definition: definition, systemPrompt: "sys", skills: []), activationID: "a-1",
    taskType: "notification", postID: "p-1", prompt: "Answer this.", systemText: "You are.",
    contextJSON: Array("{}".utf8), gatewayToken: "tok",
    servers: [.init(name: "hub", url: "http://198.18.0.1:8001/mcp/hub")],
    model: dialects.map { ModelAccess(url: "http://198.18.0.1:8000", dialects: $0) }, timeout: timeout)
}

private func brief(_ context: ExecutorContext) throws -> LoopBrief {
  let plan = try NativeExecutor().prepare(context)
  return try LoopBrief(JSONValue(parsing: plan.files[0].bytes))
}

private func message(_ context: ExecutorContext) -> String? {
  do throws(ExecutorError) {
    _ = try NativeExecutor().prepare(context)
    return nil
  } catch { return error.description }
}

@Suite struct NativeExecutorTests {
  @Test func plan() throws {
    let plan = try NativeExecutor().prepare(context())
    #expect(plan.arguments == ["/run/botburrow/botburrow-agent"])
    // No PATH: the profile's own stands, with the tools that the administrator put there.
    #expect(
      plan.environment == [
        "BOTBURROW_ACTIVATION_ID": "a-1", "BOTBURROW_AGENT_ID": "test-agent", "BOTBURROW_TASK_TYPE": "notification",
        "BOTBURROW_POST_ID": "p-1", "BOTBURROW_GATEWAY_TOKEN": "tok",
      ])
    #expect(plan.files.map(\.path) == ["loop.json", "context.json"])
    #expect("\(ExecutorPlan.fileDirectory)/\(plan.files[0].path)" == LoopBrief.path)
    #expect(plan.input == Array("Answer this.".utf8) && plan.workingDirectory == "/workspace")
    #expect(!plan.files.contains { String(decoding: $0.bytes, as: UTF8.self).contains("tok\"") })
  }

  @Test func briefOfTheDefaults() throws {
    let brief = try brief(context())
    #expect(brief.dialect == .anthropic && brief.modelURL == "http://198.18.0.1:8000" && brief.model == "claude-x")
    #expect(brief.limits == LoopBrief.Limits() && brief.limits.iterations == 10 && brief.limits.tokens == 100_000)
    #expect(brief.limits.seconds == 300 && brief.answerTokens == 4096 && brief.temperature == nil)
    #expect(!brief.shell.enabled && brief.servers == [.init(name: "hub", url: "http://198.18.0.1:8001/mcp/hub")])
    #expect(brief.system.hasPrefix("You are.\n\n# How you work"))
    #expect(brief.system.contains("You can't run commands.") && brief.system.contains("NOTHING_TO_SAY"))
  }

  @Test func briefOfADefinition() throws {
    let brief = try brief(
      context(dialects: [.openAIChat, .openAIResponses], timeout: .seconds(100)) {
        $0.brain.provider = .openai
        $0.brain.maxTokens = 900
        $0.brain.temperature = 0.3
        $0.maxIterations = 4
        // The operator's is less, and that is what the context has.
        $0.sandbox.timeout = .seconds(200)
        $0.shell.enabled = true
        $0.shell.allowedCommands = ["git"]
        $0.shell.blockedPatterns = ["sudo"]
        $0.shell.timeout = .seconds(7)
      })
    #expect(brief.dialect == .openAIChat && brief.usesCompletionTokens && brief.window == 128_000)
    #expect(brief.answerTokens == 900 && brief.temperature == 0.3 && brief.limits.iterations == 4)
    // It ends by itself before the sandbox is ended.
    #expect(brief.limits.seconds == 90)
    #expect(brief.shell.enabled && brief.shell.allowedCommands == ["git"] && brief.shell.blockedPatterns == ["sudo"])
    #expect(brief.shell.timeoutSeconds == 7)
    let own = context(dialects: [.openAIChat]) {
      $0.brain.provider = .openai
      $0.brain.apiBase = "http://10.0.0.1/v1"
    }
    #expect(try !Self.usesCompletionTokens(own))
  }

  private static func usesCompletionTokens(_ context: ExecutorContext) throws -> Bool {
    try brief(context).usesCompletionTokens
  }

  @Test func whatCannotBeStarted() {
    #expect(
      message(context(dialects: nil))
        == "agent 'test-agent' is of type 'native' and no provider serves its model; configure the one that 'brain.provider' names under 'providers'"
    )
    #expect(
      message(context(dialects: [.openAIResponses]))?.contains("which speaks anthropic or openai-chat; its provider")
        == true)
  }

  @Test func results() {
    func read(_ text: String, _ exit: ExecutorOutput.Exit = .code(0), errors: String = "") -> AgentAnswer {
      NativeExecutor().interpret(
        ExecutorOutput(exit: exit, output: Array(text.utf8), errorOutput: Array(errors.utf8)))
    }
    var usage = AgentAnswer.Usage()
    (usage.tokensInput, usage.tokensOutput, usage.model) = (12, 3, "m")
    let counts = #""usage":{"model":"m","tokens_input":12,"tokens_output":3}"#
    #expect(read("{\"answer\":\"Hi\",\(counts)}\n") == AgentAnswer(.text("Hi"), usage: usage))
    #expect(
      read("{\"answer\":\"Hi\",\"post_id\":\"p-7\",\(counts)}") == AgentAnswer(.text("Hi"), usage: usage, postID: "p-7")
    )
    #expect(read("{\"nothing_to_say\":true,\(counts)}") == AgentAnswer(.nothingToSay, usage: usage))
    #expect(read("{\"error\":\"no key\",\(counts)}", .code(1)) == AgentAnswer(.failed("no key"), usage: usage))
    #expect(
      read("", .signal(9), errors: "a\nbotburrow-agent: model: 1 tokens in\n").outcome
        == .failed(
          "botburrow-agent was ended by signal 9; its last words: botburrow-agent: model: 1 tokens in"
        ))
    // What the program writes is what the executor reads.
    let end = LoopEnd(.answer("Hi", postID: nil), usage: .init(input: 12, output: 3), iterations: 2, model: "m")
    #expect(read(end.json.compactText) == AgentAnswer(.text("Hi"), usage: usage))
  }
}
