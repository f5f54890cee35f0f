import Agents
import JSON

/// Type `goose`: <https://block.github.io/goose/docs/guides/goose-cli-commands>. No binary could be had where this was
/// written: what is made for it follows its documents and is tested by value.
///
/// - Its configuration is `$GOOSE_PATH_ROOT/config/config.yaml`; a file of JSON is one of YAML too.
/// - `developer` is its extension for files and commands; `available_tools` leaves out its shell where commands aren't
///   allowed. Commands can't be told apart.
/// - The system prompt is an argument, and Linux gives an argument 128 KiB.
public struct GooseExecutor: Executor {
  /// `goose`.
  public static let kind = AgentDefinition.Kind.goose
  /// `goose`.
  public static let tool: Tool? = Tool(program: "goose", tested: [], advice: "see https://block.github.io/goose")
  /// Bytes of system prompt that fit into an argument, MAX_ARG_STRLEN of execve(2) with some room.
  static let systemLimit = 128_000
  /// Makes the executor; it keeps nothing.
  public init() {}

  /// Rules for commands.
  public static func problems(_ definition: AgentDefinition) -> [String] {
    Shell.problems(definition, tool: "goose")
  }

  /// `goose run`, the prompt as standard input.
  public func prepare(_ context: ExecutorContext) throws(ExecutorError) -> ExecutorPlan {
    let model = try context.model([.anthropic, .openAIChat])
    let definition = context.agent.definition
    guard context.systemText.utf8.count <= Self.systemLimit else {
      throw .cannot(
        agentID: definition.id,
        "system-prompt.md and its skills have \(context.systemText.utf8.count) bytes; goose takes \(Self.systemLimit)")
    }
    var command = ["goose", "run", "--no-session", "-q", "--output-format", "json"]
    if !context.systemText.isEmpty { command += ["--system", context.systemText] }
    command += ["--max-turns", String(definition.maxIterations), "-i", "-"]
    var environment = [
      "GOOSE_MODEL": definition.brain.model, "GOOSE_MODE": "auto", "GOOSE_DISABLE_KEYRING": "1",
      "GOOSE_DISABLE_SESSION_NAMING": "true", "GOOSE_TELEMETRY_ENABLED": "false",
      "GOOSE_PATH_ROOT": "/workspace/.goose",
    ]
    if model.dialect == .anthropic {
      environment["GOOSE_PROVIDER"] = "anthropic"
      environment["ANTHROPIC_HOST"] = model.url
      environment["ANTHROPIC_API_KEY"] = context.gatewayToken
    } else {
      environment["GOOSE_PROVIDER"] = "openai"
      environment["OPENAI_BASE_URL"] = "\(model.url)/v1"
      environment["OPENAI_API_KEY"] = context.gatewayToken
    }
    if let temperature = definition.brain.temperature { environment["GOOSE_TEMPERATURE"] = "\(temperature)" }
    let place = #""$GOOSE_PATH_ROOT/config""#
    let script =
      "mkdir -p \(place) && cp \(ExecutorPlan.fileDirectory)/goose.yaml \(place)/config.yaml && exec \"$@\""
    return ExecutorPlan(
      arguments: ["/bin/sh", "-c", script, "sh"] + command, environment: environment,
      files: [context.file("goose.yaml", Self.configuration(context).compactText + "\n")],
      input: Array(context.prompt.utf8), workingDirectory: "/workspace")
  }

  static func configuration(_ context: ExecutorContext) -> JSONValue {
    let shell = context.agent.definition.shell
    var extensions: [String: JSONValue] = [
      "developer": [
        "type": "builtin", "name": "developer", "enabled": true,
        "timeout": .integer(shell.timeout.components.seconds),
        "available_tools": shell.enabled ? [] : ["text_editor"],
      ]
    ]
    for server in context.servers {
      extensions[server.name] = [
        "type": "streamable_http", "name": .string(server.name), "enabled": true, "uri": .string(server.url),
        "headers": ["Authorization": .string("Bearer \(context.gatewayToken)")], "timeout": 300, "available_tools": [],
      ]
    }
    return ["extensions": .object(extensions)]
  }

  /// The last text of the assistant in `{messages, metadata}`.
  public func interpret(_ output: ExecutorOutput) -> AgentAnswer {
    if output.isTruncated { return AgentAnswer(.failed(output.tooMuch)) }
    let text = String(decoding: output.output, as: UTF8.self)
    // Words before the object, where it warns of something, are not part of it.
    guard let start = text.firstIndex(of: "{"), let told = try? JSONValue(parsing: text[start...].utf8),
      let messages = told["messages"]?.array
    else { return AgentAnswer(.failed(output.ending(of: "goose"))) }
    var usage: AgentAnswer.Usage?
    if let metadata = told["metadata"], metadata["total_tokens"] != nil || metadata["input_tokens"] != nil {
      var counted = AgentAnswer.Usage()
      counted.tokensInput = metadata["input_tokens"]?.count ?? 0
      counted.tokensOutput = metadata["output_tokens"]?.count ?? metadata["total_tokens"]?.count ?? 0
      usage = counted
    }
    let status = told["metadata"]?["status"]?.string ?? "completed"
    guard case .code(0) = output.exit, status == "completed" else {
      return AgentAnswer(.failed("goose says: \(status.oneLine())\(output.lastWords)"), usage: usage)
    }
    let answer = messages.last { $0["role"]?.string == "assistant" }
    let parts = answer?["content"]?.array ?? []
    let said = parts.compactMap { $0["type"]?.string == "text" ? $0["text"]?.string : nil }.joined().trimmed
    return AgentAnswer(said.isEmpty ? .nothingToSay : .text(said), usage: usage)
  }
}
