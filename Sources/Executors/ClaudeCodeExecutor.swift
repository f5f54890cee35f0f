import Agents
import JSON

/// Type `claude-code`: Claude Code, <https://docs.claude.com/en/docs/claude-code/cli-reference>. Seen with 2.1.331:
///
/// - `--tools` is which tools there are, `permissions.allow` in the settings which of them run: with `dontAsk` all others are
///   refused without a question. Rules are for each command of a compound one; `echo a && cat b` needs both.
/// - `--setting-sources ""` leaves out the settings of user and project, which an agent could write; `--settings` is read
///   all the same. Rules go there, for on the command line commas and brackets in them would be read as something else.
/// - An MCP server that can't be reached is no error to it: it stands in `init.mcp_servers[].status` alone.
/// - API errors end with exit code 1 and a result whose `subtype` is `success`: `is_error` and `terminal_reason` tell.
/// - It tries 401 again, and 429, 500, 529 and refused connections; not 402.
/// - It needs `/proc`, a uid other than 0, and a writable HOME. SIGINT makes it report nothing; TERM ends it with 143.
public struct ClaudeCodeExecutor: Executor {
  /// `claude-code`.
  public static let kind = AgentDefinition.Kind.claudeCode
  /// `claude`.
  public static let tool: Tool? = Tool(
    program: "claude", tested: ["2.1.331"], advice: "make tools, or PyPI's claude-agent-sdk, which has it inside")
  /// Makes the executor; it keeps nothing.
  public init() {}

  /// `claude -p`, the prompt as standard input.
  public func prepare(_ context: ExecutorContext) throws(ExecutorError) -> ExecutorPlan {
    let model = try context.model([.anthropic])
    let definition = context.agent.definition
    let directory = ExecutorPlan.fileDirectory
    var command = [
      "claude", "-p", "--model", definition.brain.model, "--output-format", "stream-json", "--verbose",
      "--permission-mode", "dontAsk", "--tools", Self.tools(definition).joined(separator: ","),
      "--setting-sources", "", "--settings", "\(directory)/settings.json",
      "--strict-mcp-config", "--mcp-config", "\(directory)/mcp.json",
      "--max-turns", String(definition.maxIterations), "--no-session-persistence", "--disable-slash-commands",
    ]
    var files = [
      context.file("settings.json", Self.settings(definition, servers: context.servers).compactText),
      context.file("mcp.json", Self.servers(context).compactText),
    ]
    if !context.systemText.isEmpty {
      command += ["--append-system-prompt-file", "\(directory)/system.md"]
      files.append(context.file("system.md", context.systemText))
    }
    var environment = [
      "ANTHROPIC_BASE_URL": model.url, "ANTHROPIC_API_KEY": context.gatewayToken,
      // What it does in the background must be a model that the agent has.
      "ANTHROPIC_DEFAULT_HAIKU_MODEL": definition.brain.model,
      "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1", "DISABLE_AUTOUPDATER": "1", "CLAUDE_CODE_MAX_RETRIES": "3",
      // All tools of MCP servers stand in the request; without it they would have to be searched for first.
      "ENABLE_TOOL_SEARCH": "false",
      "CLAUDE_CODE_TMPDIR": "/tmp",
    ]
    if definition.shell.enabled {
      let milliseconds = String(definition.shell.timeout.components.seconds * 1000)
      environment["BASH_DEFAULT_TIMEOUT_MS"] = milliseconds
      environment["BASH_MAX_TIMEOUT_MS"] = milliseconds
    }
    if let limit = definition.brain.maxTokens { environment["CLAUDE_CODE_MAX_OUTPUT_TOKENS"] = String(limit) }
    return ExecutorPlan(
      arguments: ExecutorPlan.filtered(command, keeping: [#""type":"system""#, #""type":"result""#]),
      environment: environment, files: files, input: Array(context.prompt.utf8), workingDirectory: "/workspace")
  }

  /// Its own tools: files always, for the sandbox is what they can reach; commands where the definition says so.
  static func tools(_ definition: AgentDefinition) -> [String] {
    (definition.shell.enabled ? ["Bash"] : []) + ["Read", "Edit", "Write", "Glob", "Grep"]
  }

  /// The permission rules. An MCP server's tools are allowed as a whole: its gateway shows those that are granted, and no others.
  static func settings(_ definition: AgentDefinition, servers: [ExecutorContext.Server]) -> JSONValue {
    var allow = ["Read", "Edit", "Write", "Glob", "Grep"] + servers.map { "mcp__\($0.name)" }
    var deny: [String] = []
    if definition.shell.enabled {
      let commands = definition.shell.allowedCommands
      allow += commands.isEmpty ? ["Bash"] : commands.flatMap { ["Bash(\($0))", "Bash(\($0) *)"] }
      deny = definition.shell.blockedPatterns.map { "Bash(*\($0)*)" }
    }
    return [
      "permissions": [
        // Commands may read what the sandbox shows; otherwise they are bound to the working directory.
        "additionalDirectories": ["/"], "allow": .array(allow.map { .string($0) }),
        "deny": .array(deny.map { .string($0) }), "defaultMode": "dontAsk",
      ]
    ]
  }

  static func servers(_ context: ExecutorContext) -> JSONValue {
    let servers = context.servers.map { server in
      (
        server.name,
        [
          "type": "http", "url": .string(server.url),
          "headers": ["Authorization": .string("Bearer \(context.gatewayToken)")],
        ] as JSONValue
      )
    }
    return ["mcpServers": .object(Dictionary(servers) { _, last in last })]
  }

  /// The last `result` object.
  public func interpret(_ output: ExecutorOutput) -> AgentAnswer {
    if output.isTruncated { return AgentAnswer(.failed(output.tooMuch)) }
    let output = output.filtered
    let events = output.events
    guard let result = events.last(where: { $0["type"]?.string == "result" }) else {
      return AgentAnswer(.failed(output.ending(of: "Claude Code")))
    }
    let usage = usage(result)
    func failed(_ sentence: String) -> AgentAnswer { AgentAnswer(.failed(sentence), usage: usage) }
    let reason = result["terminal_reason"]?.string ?? "completed"
    let subtype = result["subtype"]?.string ?? "success"
    let text = result["result"]?.string?.trimmed ?? ""
    if result["is_error"]?.bool == true || subtype != "success" || reason != "completed" {
      let kind = subtype == "success" ? reason : subtype
      return failed("Claude Code says: \((text.isEmpty ? kind : "\(kind): \(text)").oneLine())")
    }
    let servers = events.first { $0["subtype"]?.string == "init" }?["mcp_servers"]?.array ?? []
    if let server = servers.first(where: { $0["status"]?.string == "failed" }) {
      return failed("Claude Code could not reach its MCP server '\(server["name"]?.string?.oneLine() ?? "")'")
    }
    return AgentAnswer(text.isEmpty ? .nothingToSay : .text(text), usage: usage)
  }

  /// Input counts what was read from and written to the cache, as the gateway does.
  private func usage(_ result: JSONValue) -> AgentAnswer.Usage? {
    guard let told = result["usage"], told.object != nil else { return nil }
    var usage = AgentAnswer.Usage()
    for key in ["input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens"] {
      usage.tokensInput += told[key]?.count ?? 0
    }
    usage.tokensOutput = told["output_tokens"]?.count ?? 0
    usage.costUSD = result["total_cost_usd"]?.dollars ?? 0
    return usage
  }
}
