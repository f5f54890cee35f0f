import Agents
import JSON
import Testing

@testable import Executors

private func context(_ change: (inout AgentDefinition) -> Void = { _ in }) -> ExecutorContext {
  var definition = AgentDefinition(id: "test-agent", kind: .custom, brain: .init(model: "none"))
  definition.executor = .init(
    command: "python3", arguments: ["-c", "x"], environment: ["MODE": "fast", "HOME": "/tmp"])
  change(&definition)
  return ExecutorContext(
    agent: LoadedAgent(definition: definition, systemPrompt: "sys", skills: []), activationID: "a-1",
    taskType: "notification", postID: "p-1", prompt: "Answer this.", systemText: "You are.",
    contextJSON: Array("{}".utf8), gatewayToken: "tok",
    servers: [
      .init(name: "hub", url: "http://198.18.0.1:8001/mcp/hub"),
      .init(name: "my-clock", url: "http://198.18.0.1:8002/mcp/my-clock"),
    ])
}

private func message(_ context: ExecutorContext) -> String? {
  do throws(ExecutorError) {
    _ = try CustomExecutor().prepare(context)
    return nil
  } catch {
    return error.description
  }
}

@Suite struct CustomExecutorTests {
  @Test func plan() throws {
    let plan = try CustomExecutor().prepare(context())
    #expect(
      plan
        == ExecutorPlan(
          arguments: ["python3", "-c", "x"],
          environment: [
            "PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/tmp", "LANG": "C.UTF-8", "MODE": "fast",
            "BOTBURROW_ACTIVATION_ID": "a-1", "BOTBURROW_AGENT_ID": "test-agent",
            "BOTBURROW_TASK_TYPE": "notification", "BOTBURROW_POST_ID": "p-1",
            "BOTBURROW_PROMPT_FILE": "/run/agent/prompt.md", "BOTBURROW_SYSTEM_FILE": "/run/agent/system.md",
            "BOTBURROW_CONTEXT_FILE": "/run/agent/context.json", "BOTBURROW_GATEWAY_TOKEN": "tok",
            "MCP_HUB_URL": "http://198.18.0.1:8001/mcp/hub", "MCP_MY_CLOCK_URL": "http://198.18.0.1:8002/mcp/my-clock",
          ],
          files: [
            .init(path: "prompt.md", bytes: Array("Answer this.".utf8)),
            .init(path: "system.md", bytes: Array("You are.".utf8)),
            .init(path: "context.json", bytes: Array("{}".utf8)),
          ],
          input: Array("Answer this.".utf8), workingDirectory: "/workspace"))
  }

  @Test func withoutAPostThereIsNoVariable() throws {
    var context = context()
    context.postID = nil
    #expect(try CustomExecutor().prepare(context).environment["BOTBURROW_POST_ID"] == nil)
  }

  @Test func whatCannotBeStarted() {
    #expect(
      message(context { $0.executor = nil })
        == "agent 'test-agent' is of type 'custom' and has no 'executor.command'; name the program to run there")
    #expect(
      message(context { $0.executor?.environment = ["BOTBURROW_ANYTHING": "x"] })
        == "agent 'test-agent' sets BOTBURROW_ANYTHING in 'executor.env', but that variable is set for every agent; use another name"
    )
    #expect(
      message(context { $0.executor?.environment = ["MCP_HUB_URL": "http://evil"] })
        == "agent 'test-agent' sets MCP_HUB_URL in 'executor.env', but that variable is set for every agent; use another name"
    )
    #expect(
      message(context { $0.executor?.environment = ["A=B": "x"] })
        == "agent 'test-agent': an environment variable in 'executor' can't be handed to a program; take out '=' in names and NUL characters"
    )
    #expect(
      message(context { $0.executor?.arguments = ["a\u{0}b"] })
        == "agent 'test-agent': an argument in 'executor' can't be handed to a program; take out '=' in names and NUL characters"
    )
  }

  @Test func everyKindHasItsExecutor() throws {
    for kind in AgentDefinition.Kind.allCases { #expect(type(of: Executors.executor(of: kind)).kind == kind) }
    let custom = AgentDefinition(id: "x", kind: .custom, brain: .init(model: "m"))
    #expect(try Executors.executor(for: custom) is CustomExecutor)
  }
}

@Suite struct CustomAnswerTests {
  private func interpret(_ text: String, exit: ExecutorOutput.Exit = .code(0), errors: String = "") -> AgentAnswer {
    CustomExecutor().interpret(
      ExecutorOutput(exit: exit, output: Array(text.utf8), errorOutput: Array(errors.utf8)))
  }

  @Test(arguments: [
    ("Hello.\n", AgentAnswer.Outcome.text("Hello.")), (" \n", .nothingToSay), ("", .nothingToSay),
    ("{not json", .text("{not json")), (#"{"a": 1}"#, .text(#"{"a": 1}"#)),
    (#"{"answer": " Hi "}"#, .text("Hi")), (#"{"answer": ""}"#, .nothingToSay),
    (#"{"nothing_to_say": true}"#, .nothingToSay), (#"{"answer": "x", "nothing_to_say": true}"#, .nothingToSay),
    (#"{"answer": 7}"#, .failed("'answer' in the agent's JSON output is not text")),
    (#"{"nothing_to_say": false}"#, .failed("'answer' in the agent's JSON output is not text")),
    (#"{"error": "no\nmodel"}"#, .failed("the agent says: no model")),
    (#"{"error": null, "answer": "x"}"#, .text("x")),
  ])
  func outputs(text: String, outcome: AgentAnswer.Outcome) {
    #expect(interpret(text).outcome == outcome)
  }

  @Test func usageIsTakenWhereItMakesSense() throws {
    let answer = interpret(
      #"{"answer": "x", "usage": {"tokens_input": 12, "tokens_output": 3, "cost_usd": 0.5, "model": "m"}}"#)
    var usage = AgentAnswer.Usage()
    usage.tokensInput = 12
    usage.tokensOutput = 3
    usage.costUSD = 0.5
    usage.model = "m"
    #expect(answer == AgentAnswer(.text("x"), usage: usage))
    let strange = interpret(#"{"answer": "x", "usage": {"tokens_input": -1, "tokens_output": "3", "cost_usd": 1e400}}"#)
    #expect(strange.outcome != .nothingToSay)
    #expect(interpret(#"{"answer": "x", "usage": {"tokens_input": -1}}"#).usage == AgentAnswer.Usage())
    #expect(interpret(#"{"answer": "x", "usage": [1]}"#).usage == nil)
  }

  @Test func ends() {
    #expect(interpret("half", exit: .code(3)).outcome == .failed("the agent ended with exit code 3"))
    #expect(
      interpret("", exit: .code(1), errors: "Traceback\nValueError:\u{1B}[31m bad\n \n").outcome
        == .failed("the agent ended with exit code 1; its last words: ValueError: [31m bad"))
    #expect(
      interpret("", exit: .signal(11), errors: String(repeating: "y", count: 300)).outcome
        == .failed("the agent was ended by signal 11; its last words: \(String(repeating: "y", count: 200))…"))
    // A program that says in JSON how it went is believed before its exit code.
    #expect(interpret(#"{"answer": "x"}"#, exit: .code(1)).outcome == .text("x"))
  }

  @Test func outputThatIsCutOrNoText() {
    #expect(
      CustomExecutor().interpret(ExecutorOutput(exit: .code(0), output: [0x61, 0x62], isTruncated: true)).outcome
        == .failed(
          "the agent wrote more than the 2 bytes that are kept; let it write less, or raise activation.max_output"))
    #expect(
      CustomExecutor().interpret(ExecutorOutput(exit: .code(0), output: [0xFF])).outcome
        == .failed("the agent's output is not UTF-8 text"))
  }
}
