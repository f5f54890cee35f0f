import Agents
import Configuration
import Testing

@testable import Executors

/// What each tool's end means, by outputs as the tools write them.
@Suite struct AnswerTests {
  private func interpret(
    _ executor: any Executor, _ text: String, exit: ExecutorOutput.Exit = .code(0), errors: String = ""
  ) -> AgentAnswer {
    executor.interpret(ExecutorOutput(exit: exit, output: Array(text.utf8), errorOutput: Array(errors.utf8)))
  }

  private func usage(_ input: Int, _ output: Int, _ cost: Double = 0) -> AgentAnswer.Usage {
    var usage = AgentAnswer.Usage()
    (usage.tokensInput, usage.tokensOutput, usage.costUSD) = (input, output, cost)
    return usage
  }

  private let start = #"{"type":"system","subtype":"init","mcp_servers":[{"name":"hub","status":"connected"}]}"#

  @Test func claudeCodeAnswers() {
    let answer = interpret(
      ClaudeCodeExecutor(),
      """
      \(start)
      {"duration_api_ms":1,"usage":{"input_tokens":410,"cache_creation_input_tokens":28,"cache_read_input_tokens":20,\
      "output_tokens":71},"total_cost_usd":0.5,"terminal_reason":"completed","is_error":false,"subtype":"success",\
      "type":"result","result":" The answer.\\n"}

      {"code":0,"type":"exit"}
      """)
    #expect(answer == AgentAnswer(.text("The answer."), usage: usage(458, 71, 0.5)))
  }

  @Test func claudeCodeFails() {
    // 'success' it is called all the same.
    let refused = """
      \(start)
      {"type":"result","subtype":"success","is_error":true,"terminal_reason":"api_error","api_error_status":401,\
      "result":"Failed to authenticate. API Error: 401"}
      {"code":1,"type":"exit"}
      """
    #expect(
      interpret(ClaudeCodeExecutor(), refused).outcome
        == .failed("Claude Code says: api_error: Failed to authenticate. API Error: 401"))
    let turns = #"{"type":"result","subtype":"error_max_turns","is_error":true,"num_turns":11}"#
    #expect(interpret(ClaudeCodeExecutor(), turns).outcome == .failed("Claude Code says: error_max_turns"))
    let nothing = #"{"type":"result","subtype":"success","is_error":false,"result":""}"#
    #expect(interpret(ClaudeCodeExecutor(), nothing).outcome == .nothingToSay)
    #expect(
      interpret(ClaudeCodeExecutor(), #"{"code":143,"type":"exit"}"#, errors: "Terminated\n").outcome
        == .failed("Claude Code ended with exit code 143; its last words: Terminated"))
    let lost = """
      {"type":"system","subtype":"init","mcp_servers":[{"name":"time","status":"failed"}]}
      {"type":"result","subtype":"success","is_error":false,"result":"I have no clock."}
      """
    #expect(
      interpret(ClaudeCodeExecutor(), lost).outcome == .failed("Claude Code could not reach its MCP server 'time'"))
  }

  @Test func codexAnswers() {
    let answer = interpret(
      CodexExecutor(),
      """
      {"type":"item.completed","item":{"id":"0","type":"error","message":"Model metadata for `m` not found."}}
      {"type":"item.completed","item":{"id":"1","type":"agent_message","text":"I look."}}
      {"type":"item.completed","item":{"id":"2","type":"agent_message","text":"Found."}}
      {"type":"turn.completed","usage":{"input_tokens":150,"cached_input_tokens":9,"output_tokens":27}}
      {"code":0,"type":"exit"}
      """)
    #expect(answer == AgentAnswer(.text("Found."), usage: usage(150, 27)))
  }

  @Test func codexFails() {
    let failed = """
      {"type":"error","message":"Reconnecting... 1/2"}
      {"type":"turn.failed","error":{"message":"unexpected status 401 Unauthorized"}}
      {"code":1,"type":"exit"}
      """
    #expect(
      interpret(CodexExecutor(), failed).outcome == .failed("Codex says: unexpected status 401 Unauthorized"))
    let early = #"{"type":"error","message":"required MCP server 'hub' failed"}"#
    #expect(interpret(CodexExecutor(), early).outcome == .failed("Codex says: required MCP server 'hub' failed"))
    #expect(
      interpret(CodexExecutor(), #"{"code":127,"type":"exit"}"#, errors: "sh: 1: codex: not found\n").outcome
        == .failed("Codex ended with exit code 127; its last words: sh: 1: codex: not found"))
  }

  @Test func aiderAnswers() {
    let banner =
      "Analytics have been permanently disabled.\n\nAider v0.86.2\nModel: m\nGit repo: none\nRepo-map: disabled\n\n"
    let one = interpret(AiderExecutor(), banner + "The answer.\n\n- a\nTokens: 595 sent, 6 received.\n")
    #expect(one == AgentAnswer(.text("The answer.\n\n- a"), usage: usage(595, 6)))
    let two = interpret(
      AiderExecutor(),
      banner + "First.\nTokens: 2.5k sent, 10 received. Cost: $0.01 message, $0.01 session.\n\nSecond.\n"
        + "Tokens: 3k sent, 1,200 received.\n\nhello.txt\nApplied edit to hello.txt\n")
    #expect(two == AgentAnswer(.text("Second."), usage: usage(5500, 1210)))
  }

  @Test func aiderFails() {
    let error = """
      Repo-map: disabled

      litellm.AuthenticationError: AuthenticationError: OpenAIException - no
      The API provider is not able to authenticate you. Check your API key.

      """
    #expect(
      interpret(AiderExecutor(), error).outcome
        == .failed(
          "aider got no whole reply: litellm.AuthenticationError: AuthenticationError: OpenAIException - no"))
    #expect(
      interpret(AiderExecutor(), "", exit: .code(2), errors: "error: bad argument").outcome
        == .failed("aider ended with exit code 2; its last words: error: bad argument"))
    #expect(interpret(AiderExecutor(), "").outcome == .failed("aider got no whole reply: "))
  }

  @Test func goose() {
    let good = """
      warning: something
      {"messages":[{"role":"user","content":[{"type":"text","text":"Q"}]},{"role":"assistant","content":\
      [{"type":"text","text":"A"},{"type":"toolRequest"}]}],"metadata":{"input_tokens":5,"output_tokens":2,"status":"completed"}}
      """
    #expect(interpret(GooseExecutor(), good) == AgentAnswer(.text("A"), usage: usage(5, 2)))
    #expect(
      interpret(GooseExecutor(), #"{"messages":[],"metadata":{"status":"error"}}"#, exit: .code(1)).outcome
        == .failed("goose says: error"))
    #expect(
      interpret(GooseExecutor(), "no provider", exit: .code(1)).outcome == .failed("goose ended with exit code 1"))
  }

  @Test func openCode() {
    let good = """
      {"type":"step_start"}
      {"type":"text","part":{"text":"I look."}}
      {"type":"step_finish","part":{"cost":0.25,"tokens":{"input":10,"output":2,"reasoning":1,"cache":{"read":3,"write":4}}}}
      {"type":"step_start"}
      {"type":"text","part":{"text":"Found."}}
      {"type":"step_finish","part":{"cost":0.25,"tokens":{"input":20,"output":3,"reasoning":0,"cache":{"read":0,"write":0}}}}
      {"code":0,"type":"exit"}
      """
    #expect(interpret(OpenCodeExecutor(), good) == AgentAnswer(.text("Found."), usage: usage(37, 6, 0.5)))
    let bad = #"{"type":"error","error":{"name":"APIError","data":{"message":"no credit"}}}"#
    #expect(interpret(OpenCodeExecutor(), bad, exit: .code(1)).outcome == .failed("opencode says: no credit"))
    #expect(interpret(OpenCodeExecutor(), "").outcome == .failed("opencode ended with exit code 0"))
  }

  @Test func outputThatIsCut() {
    for executor in Executors.all {
      let output = ExecutorOutput(exit: .code(0), output: [0x7B], isTruncated: true)
      #expect(
        executor.interpret(output).outcome
          == .failed(
            "the agent wrote more than the 1 bytes that are kept; let it write less, or raise activation.max_output"))
    }
  }
}

/// What tools can't do, said before they run.
@Suite struct ProblemTests {
  private func problems(_ kind: AgentDefinition.Kind, _ change: (inout AgentDefinition) -> Void) -> [String] {
    var definition = AgentDefinition(id: "test-agent", kind: kind, brain: .init(model: "m"))
    change(&definition)
    return Executors.problems(definition)
  }

  @Test func aiderHasNoMCP() throws {
    #expect(problems(.aider) { _ in } == [])
    let hub = Grant(service: "hub", permission: "read")
    #expect(
      problems(.aider) { $0.grants = [hub] } == [
        "aider has no MCP, so its grants hub:read open nothing; take them out, or use another type"
      ])
    #expect(
      problems(.aider) {
        $0.grants = [hub]
        $0.mcpServers = [.named("hub")]
        $0.shell.enabled = true
      } == [
        "aider has no MCP, so it can't use the servers hub; take 'mcp_servers' out, or use another type",
        "aider runs no commands here; set 'shell.enabled: false', or use another type",
      ])
    var definition = AgentDefinition(id: "test-agent", kind: .aider, brain: .init(model: "m"))
    definition.grants = [hub]
    let error = #expect(throws: ExecutorError.self) { try Executors.executor(for: definition) }
    #expect(error?.description.hasPrefix("agent 'test-agent': aider has no MCP") == true)
  }

  @Test(arguments: [(AgentDefinition.Kind.codex, "Codex"), (.goose, "goose")])
  func noRulesForCommands(kind: AgentDefinition.Kind, name: String) {
    #expect(problems(kind) { $0.shell.enabled = true } == [])
    #expect(problems(kind) { $0.shell.allowedCommands = ["git"] } == [])
    #expect(
      problems(kind) {
        $0.shell.enabled = true
        $0.shell.allowedCommands = ["git"]
        $0.shell.blockedPatterns = ["push"]
      } == [
        "\(name) runs any command or none, so it can't keep to 'shell.allowed_commands' and 'shell.blocked_patterns'; take "
          + "them out, set 'shell.enabled: false', or use type native, claude-code or opencode"
      ])
  }

  @Test func models() {
    func message(_ kind: AgentDefinition.Kind, _ model: ModelAccess?) -> String? {
      var context = GoldenTests.context(kind)
      context.model = model
      do throws(ExecutorError) {
        _ = try Executors.all.first { type(of: $0).kind == kind }?.prepare(context)
        return nil
      } catch { return error.description }
    }
    #expect(
      message(.claudeCode, nil)
        == "agent 'test-agent' is of type 'claude-code' and no provider serves its model; configure the one that "
        + "'brain.provider' names under 'providers'")
    let chat = ModelAccess(url: "http://x", dialects: [.openAIChat])
    #expect(
      message(.codex, chat)
        == "agent 'test-agent' is of type 'codex', which speaks openai-responses; its provider speaks openai-chat")
    #expect(message(.aider, chat) == nil)
  }

  @Test(arguments: [
    ("2.1.331 (Claude Code)\n", "2.1.331"), ("codex-cli 0.163.0\n", "0.163.0"), ("aider 0.86.2\n", "0.86.2"),
    ("v1.2.3", "1.2.3"), ("warning: 3 things\nx 1.0", "1.0"), ("nothing", nil as String?),
  ])
  func versions(text: String, version: String?) { #expect(Tool.version(in: text) == version) }

  @Test func kindsHaveProfiles() {
    #expect(AgentDefinition.Kind.claudeCode.profile == "claude-code")
    #expect(AgentDefinition.Kind.custom.profile == "default")
  }

  @Test func strings() {
    #expect(CodexExecutor.quoted("a\"b\\c\nd\u{1B}\u{7F}é") == #""a\"b\\c\nd\u001b\u007Fé""#)
  }
}
