import Agents
import JSON

/// Type `opencode`: <https://opencode.ai/docs/cli>. No binary could be had where this was written: what is made for it
/// follows its documents and is tested by value.
///
/// - Its whole configuration is a variable, `OPENCODE_CONFIG_CONTENT`; `instructions` are files that join the system prompt.
/// - Rules of `permission`: the last that fits counts, `*` stands for anything; `--auto` allows what would be asked.
/// - `oauth: false`: an MCP server that answers 401 is not to be logged in to.
public struct OpenCodeExecutor: Executor {
  /// `opencode`.
  public static let kind = AgentDefinition.Kind.opencode
  /// `opencode`.
  public static let tool: Tool? = Tool(program: "opencode", tested: [], advice: "see https://opencode.ai")
  /// Makes the executor; it keeps nothing.
  public init() {}

  /// `opencode run`, the prompt as standard input.
  public func prepare(_ context: ExecutorContext) throws(ExecutorError) -> ExecutorPlan {
    let model = try context.model([.anthropic, .openAIChat])
    let provider = model.dialect == .anthropic ? "anthropic" : "openai"
    let command = [
      "opencode", "run", "--format", "json", "--auto", "-m", "\(provider)/\(context.agent.definition.brain.model)",
    ]
    var files: [ExecutorPlan.File] = []
    if !context.systemText.isEmpty { files.append(context.file("system.md", context.systemText)) }
    return ExecutorPlan(
      arguments: ExecutorPlan.filtered(
        command, keeping: [#""type":"text""#, #""type":"step_"#, #""type":"error""#]),
      environment: [
        "OPENCODE_CONFIG_CONTENT": Self.configuration(context, provider: provider, url: model.url).compactText,
        "OPENCODE_DISABLE_AUTOUPDATE": "1", "OPENCODE_DISABLE_MODELS_FETCH": "1",
        "OPENCODE_DISABLE_DEFAULT_PLUGINS": "1", "OPENCODE_DISABLE_LSP_DOWNLOAD": "1",
      ],
      files: files, input: Array(context.prompt.utf8), workingDirectory: "/workspace")
  }

  static func configuration(_ context: ExecutorContext, provider: String, url: String) -> JSONValue {
    let definition = context.agent.definition
    var bash: JSONValue = "deny"
    if definition.shell.enabled {
      // The last rule that fits counts, and rules are written in the order of their names: '*' comes before every letter.
      var rules: [String: JSONValue] = ["*": definition.shell.allowedCommands.isEmpty ? "allow" : "deny"]
      for command in definition.shell.allowedCommands {
        rules[command] = "allow"
        rules["\(command) *"] = "allow"
      }
      bash = .object(rules)
    }
    let servers = context.servers.map { server in
      (
        server.name,
        [
          "type": "remote", "url": .string(server.url), "enabled": true, "oauth": false,
          "headers": ["Authorization": .string("Bearer \(context.gatewayToken)")],
        ] as JSONValue
      )
    }
    return [
      "autoupdate": false, "share": "disabled",
      "instructions": context.systemText.isEmpty ? [] : [.string("\(ExecutorPlan.fileDirectory)/system.md")],
      "provider": [
        provider: [
          "options": ["baseURL": .string("\(url)/v1"), "apiKey": .string(context.gatewayToken)],
          // Without a list of models from the network it knows those alone that stand here.
          "models": [definition.brain.model: [:]],
        ]
      ],
      "permission": ["bash": bash, "edit": "allow", "webfetch": "deny", "external_directory": "allow"],
      "mcp": .object(Dictionary(servers) { _, last in last }),
    ]
  }

  /// What blocks would have to come last, and rules are in the order of their names, where '*' is first.
  public static func problems(_ definition: AgentDefinition) -> [String] {
    guard definition.shell.enabled, !definition.shell.blockedPatterns.isEmpty else { return [] }
    return [
      "opencode can't keep to 'shell.blocked_patterns'; list 'shell.allowed_commands' instead, or use type native or "
        + "claude-code"
    ]
  }

  /// The texts of the last step.
  public func interpret(_ output: ExecutorOutput) -> AgentAnswer {
    if output.isTruncated { return AgentAnswer(.failed(output.tooMuch)) }
    let output = output.filtered
    var (text, usage, steps) = ("", AgentAnswer.Usage(), 0)
    for event in output.events {
      switch event["type"]?.string {
      case "step_start": text = ""
      case "text": text += event["part"]?["text"]?.string ?? ""
      case "step_finish":
        steps += 1
        let tokens = event["part"]?["tokens"]
        for count in [tokens?["input"], tokens?["cache"]?["read"], tokens?["cache"]?["write"]] {
          usage.tokensInput += count?.count ?? 0
        }
        usage.tokensOutput += (tokens?["output"]?.count ?? 0) + (tokens?["reasoning"]?.count ?? 0)
        usage.costUSD += event["part"]?["cost"]?.dollars ?? 0
      case "error":
        let error = event["error"]
        let message = error?["data"]?["message"]?.string ?? error?["name"]?.string ?? "an error without words"
        return AgentAnswer(.failed("opencode says: \(message.oneLine())"), usage: steps > 0 ? usage : nil)
      default: break
      }
    }
    guard case .code(0) = output.exit, steps > 0 else { return AgentAnswer(.failed(output.ending(of: "opencode"))) }
    let said = text.trimmed
    return AgentAnswer(said.isEmpty ? .nothingToSay : .text(said), usage: usage)
  }
}
