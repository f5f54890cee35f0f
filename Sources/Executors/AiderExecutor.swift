import Agents
import JSON

/// Type `aider`: <https://aider.chat/docs/config/options.html>. Seen with 0.86.2:
///
/// - It has no MCP and, told so, no shell: it edits files below its working directory, and answers.
/// - It has no place for a system prompt: that comes first in the message.
/// - It ends with 0 whatever happened. A reply that came whole is followed by a line `Tokens: 595 sent, 6 received.`; after an
///   error there is none. The last such line ends the answer.
/// - 401 is not tried again; 429, 500 and the like are, after 0.2, 0.5, 1, 2 … 32 s: more than a minute in all.
/// - It looks for a list of models' prices in the network at its start; where there is none, it says so and goes on.
public struct AiderExecutor: Executor {
  /// `aider`.
  public static let kind = AgentDefinition.Kind.aider
  /// `aider`.
  public static let tool: Tool? = Tool(program: "aider", tested: ["0.86.2"], advice: "make tools, or PyPI's aider-chat")
  /// Makes the executor; it keeps nothing.
  public init() {}

  /// MCP servers, and commands.
  public static func problems(_ definition: AgentDefinition) -> [String] {
    var problems: [String] = []
    let servers = definition.mcpServers.map(\.name)
    if !servers.isEmpty {
      problems.append(
        "aider has no MCP, so it can't use the servers \(servers.joined(separator: ", ")); take 'mcp_servers' out, or use "
          + "another type")
    } else if !definition.grants.isEmpty {
      problems.append(
        "aider has no MCP, so its grants \(definition.grants.map(\.description).joined(separator: ", ")) open nothing; take "
          + "them out, or use another type")
    }
    if definition.shell.enabled {
      problems.append("aider runs no commands here; set 'shell.enabled: false', or use another type")
    }
    return problems
  }

  /// `aider --message-file`.
  public func prepare(_ context: ExecutorContext) throws(ExecutorError) -> ExecutorPlan {
    let model = try context.model([.anthropic, .openAIChat])
    let name = context.agent.definition.brain.model
    let token = context.gatewayToken
    var environment = [
      "AIDER_ANALYTICS": "false", "AIDER_CHECK_UPDATE": "false", "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    ]
    let prefix: String
    if model.dialect == .anthropic {
      prefix = "anthropic"
      environment["ANTHROPIC_API_BASE"] = model.url
      environment["ANTHROPIC_API_KEY"] = token
    } else {
      prefix = "openai"
      environment["OPENAI_API_BASE"] = "\(model.url)/v1"
      environment["OPENAI_API_KEY"] = token
    }
    let arguments = [
      "aider", "--model", "\(prefix)/\(name)", "--message-file", "\(ExecutorPlan.fileDirectory)/message.md",
      "--yes-always", "--no-check-update", "--no-show-release-notes", "--no-show-model-warnings", "--analytics-disable",
      "--no-auto-commits", "--no-dirty-commits", "--no-gitignore", "--no-detect-urls", "--no-suggest-shell-commands",
      "--no-pretty", "--no-fancy-input", "--disable-playwright", "--map-tokens", "0",
    ]
    let message = [context.systemText, context.prompt].filter { !$0.isEmpty }.joined(separator: "\n\n")
    return ExecutorPlan(
      arguments: arguments, environment: environment, files: [context.file("message.md", message)], input: [],
      workingDirectory: "/workspace")
  }

  /// What stands between its banner, or the reply before, and the last line of tokens.
  public func interpret(_ output: ExecutorOutput) -> AgentAnswer {
    if output.isTruncated { return AgentAnswer(.failed(output.tooMuch)) }
    guard case .code(0) = output.exit else { return AgentAnswer(.failed(output.ending(of: "aider"))) }
    let lines = String(decoding: output.output, as: UTF8.self).split(omittingEmptySubsequences: false) { $0.isNewline }
    let ends = lines.indices.filter { Self.tokens(lines[$0]) != nil }
    guard let end = ends.last else {
      let last = lines.last { !$0.allSatisfy(\.isWhitespace) } ?? ""
      let error = lines.first { $0.hasPrefix("litellm.") } ?? last
      return AgentAnswer(.failed("aider got no whole reply: \(String(error).oneLine())"))
    }
    var usage = AgentAnswer.Usage()
    for tokens in ends.compactMap({ Self.tokens(lines[$0]) }) {
      usage.tokensInput += tokens.sent
      usage.tokensOutput += tokens.received
    }
    let start: Int
    if let before = ends.dropLast().last {
      start = before + 1
    } else {
      start = (lines[..<end].firstIndex { $0.hasPrefix("Repo-map:") } ?? -1) + 1
    }
    let text = lines[start..<end].joined(separator: "\n").trimmed
    return AgentAnswer(text.isEmpty ? .nothingToSay : .text(text), usage: usage)
  }

  /// `Tokens: 2.3k sent, 6 received. Cost: …`; nil for another line. Rounded by the tool itself.
  static func tokens(_ line: Substring) -> (sent: Int, received: Int)? {
    guard line.hasPrefix("Tokens: ") else { return nil }
    let words = line.split(separator: " ")
    guard let sent = words.firstIndex(where: { $0.hasPrefix("sent") }), sent > 1,
      let received = words.firstIndex(where: { $0.hasPrefix("received") }), received > 1,
      let input = amount(words[sent - 1]), let output = amount(words[received - 1])
    else { return nil }
    return (input, output)
  }

  private static func amount(_ word: Substring) -> Int? {
    let factor = word.hasSuffix("k") ? 1000.0 : word.hasSuffix("M") ? 1e6 : 1
    let digits = word.replacing(",", with: "").prefix { $0.isNumber || $0 == "." }
    guard let number = Double(digits), number * factor < 1e12 else { return nil }
    return Int(number * factor)
  }
}
