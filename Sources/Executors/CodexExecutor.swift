import Agents
import JSON

/// Type `codex`: Codex CLI, <https://developers.openai.com/codex/cli>. Seen with 0.163.0:
///
/// - It reads `$CODEX_HOME/config.toml` and writes beside it, but not below `/tmp`: the file is copied there first.
/// - `danger-full-access`: it would build a sandbox of its own, and none can be made inside ours.
/// - It speaks Responses alone, by WebSocket unless told otherwise; a refused connection is tried for ever unless told.
/// - `stream_max_retries` is around `request_max_retries`: two of each are nine requests after a 500. 401 and 402 are tried
///   again as well; 429 isn't.
/// - Tools of MCP servers are in a namespace of the server, `mcp__hub`, and answered where `required` servers are reached.
/// - Commands can't be told apart: with `shell_tool` it may run any.
public struct CodexExecutor: Executor {
  /// `codex`.
  public static let kind = AgentDefinition.Kind.codex
  /// `codex`.
  public static let tool: Tool? = Tool(
    program: "codex", tested: ["0.163.0"], advice: "make tools, or PyPI's openai-codex-cli-bin")
  /// Makes the executor; it keeps nothing.
  public init() {}

  /// Rules for commands.
  public static func problems(_ definition: AgentDefinition) -> [String] {
    Shell.problems(definition, tool: "Codex")
  }

  /// `codex exec`, the prompt as standard input.
  public func prepare(_ context: ExecutorContext) throws(ExecutorError) -> ExecutorPlan {
    let model = try context.model([.openAIResponses])
    let command = [
      "codex", "exec", "--json", "--ephemeral", "--skip-git-repo-check", "-",
    ]
    return ExecutorPlan(
      arguments: ExecutorPlan.filtered(
        command,
        before:
          #"mkdir -p "$CODEX_HOME" && cp \#(ExecutorPlan.fileDirectory)/codex.toml "$CODEX_HOME/config.toml" && "#,
        keeping: [#""type":"agent_message""#, #""type":"turn."#, #""type":"error""#]),
      environment: [
        "CODEX_HOME": "/workspace/.codex", "BOTBURROW_GATEWAY_TOKEN": context.gatewayToken,
      ],
      files: [context.file("codex.toml", Self.configuration(context, url: model.url))],
      input: Array(context.prompt.utf8), workingDirectory: "/workspace")
  }

  static func configuration(_ context: ExecutorContext, url: String) -> String {
    let definition = context.agent.definition
    let shell = definition.shell.enabled
    var text = """
      model = \(quoted(definition.brain.model))
      model_provider = "gateway"
      approval_policy = "never"
      sandbox_mode = "danger-full-access"
      web_search = "disabled"
      check_for_update_on_startup = false

      """
    if !context.systemText.isEmpty { text += "developer_instructions = \(quoted(context.systemText))\n" }
    text += """

      [model_providers.gateway]
      name = "gateway"
      base_url = \(quoted("\(url)/v1"))
      env_key = "BOTBURROW_GATEWAY_TOKEN"
      wire_api = "responses"
      supports_websockets = false
      request_max_retries = 2
      stream_max_retries = 2

      [features]
      shell_tool = \(shell)
      unified_exec = \(shell)
      apps = false
      goals = false
      image_generation = false
      multi_agent = false
      plugins = false
      remote_plugin = false
      tool_suggest = false
      unbounded_connection_retries = false

      [analytics]
      enabled = false

      """
    for server in context.servers {
      text += """

        [mcp_servers.\(quoted(server.name))]
        url = \(quoted(server.url))
        bearer_token_env_var = "BOTBURROW_GATEWAY_TOKEN"
        required = true

        """
    }
    return text
  }

  /// A basic string of TOML 1.0: JSON's, which leaves DEL as it is.
  static func quoted(_ text: String) -> String {
    JSONValue.string(text).compactText.replacing("\u{7F}", with: "\\u007F")
  }

  /// The last message of the turn that completed.
  public func interpret(_ output: ExecutorOutput) -> AgentAnswer {
    if output.isTruncated { return AgentAnswer(.failed(output.tooMuch)) }
    let output = output.filtered
    let events = output.events
    if let failure = events.last(where: { $0["type"]?.string == "turn.failed" }) {
      let message = failure["error"]?["message"]?.string ?? "the turn failed"
      return AgentAnswer(.failed("Codex says: \(message.oneLine())"))
    }
    guard let turn = events.last(where: { $0["type"]?.string == "turn.completed" }) else {
      // Before its first turn: a configuration that it doesn't take, a required MCP server that it doesn't reach.
      let message = events.last { $0["type"]?.string == "error" }?["message"]?.string
      return AgentAnswer(
        .failed(message.map { "Codex says: \($0.oneLine())" } ?? output.ending(of: "Codex")))
    }
    var usage = AgentAnswer.Usage()
    // Cached input is part of the input here.
    usage.tokensInput = turn["usage"]?["input_tokens"]?.count ?? 0
    usage.tokensOutput = turn["usage"]?["output_tokens"]?.count ?? 0
    let message =
      events.last { $0["item"]?["type"]?.string == "agent_message" }?["item"]?["text"]?.string?.trimmed ?? ""
    return AgentAnswer(message.isEmpty ? .nothingToSay : .text(message), usage: usage)
  }
}
