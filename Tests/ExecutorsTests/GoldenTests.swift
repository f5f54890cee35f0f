import Agents
import Configuration
import Glibc
import JSON
import Linux
import Testing

@testable import Executors

/// What is started for each tool, whole: argv, environment, files, input.
@Suite struct GoldenTests {
  static let directory =
    "/" + #filePath.split(separator: "/").dropLast().joined(separator: "/") + "/Golden"

  /// An agent that has everything: a system prompt, commands, MCP servers, limits.
  static func context(_ kind: AgentDefinition.Kind, _ change: (inout AgentDefinition) -> Void = { _ in })
    -> ExecutorContext
  {
    var definition = AgentDefinition(id: "test-agent", kind: kind, brain: .init(model: "model-1"))
    definition.brain.maxTokens = 4096
    definition.brain.temperature = 0.5
    definition.maxIterations = 7
    definition.shell.enabled = true
    definition.shell.timeout = .seconds(90)
    change(&definition)
    let servers: [ExecutorContext.Server] = [
      .init(name: "hub", url: "http://198.18.0.1:8001/mcp/hub"),
      .init(name: "time", url: "http://198.18.0.1:8002/mcp/time"),
    ]
    return ExecutorContext(
      agent: LoadedAgent(definition: definition, systemPrompt: "Be kind.", skills: []), activationID: "a-1",
      taskType: "notification", postID: "p-1", prompt: "Answer this.\n", systemText: "Be \"kind\".\n\\o/",
      contextJSON: Array("{}".utf8), gatewayToken: "token", servers: kind == .aider ? [] : servers,
      model: ModelAccess(
        url: "http://198.18.0.1:8000", dialects: kind == .codex ? [.openAIChat, .openAIResponses] : [.anthropic]))
  }

  @Test(arguments: [
    ("claude-code", AgentDefinition.Kind.claudeCode), ("codex", .codex), ("aider", .aider), ("goose", .goose),
    ("opencode", .opencode), ("native", .native),
  ])
  func golden(name: String, kind: AgentDefinition.Kind) throws {
    let context = Self.context(kind) { if kind == .aider { $0.shell.enabled = false } }
    try compare(try Executors.executor(for: context.agent.definition).prepare(context), name)
  }

  @Test func goldenOfRules() throws {
    let context = Self.context(.claudeCode) {
      $0.shell.allowedCommands = ["git", "make test"]
      $0.shell.blockedPatterns = ["push --force", "a,b (c)"]
    }
    try compare(try ClaudeCodeExecutor().prepare(context), "claude-code-rules")
  }

  @Test func goldenWithoutCommandsAndServers() throws {
    var context = Self.context(.claudeCode) { $0.shell.enabled = false }
    context.servers = []
    context.systemText = ""
    try compare(try ClaudeCodeExecutor().prepare(context), "claude-code-bare")
  }

  @Test(arguments: [
    ("aider-openai", AgentDefinition.Kind.aider), ("goose-openai", .goose), ("opencode-openai", .opencode),
  ])
  func goldenOfTheOtherDialect(name: String, kind: AgentDefinition.Kind) throws {
    var context = Self.context(kind) { $0.shell.enabled = false }
    context.model?.dialects = [.openAIChat]
    try compare(try Executors.executor(for: context.agent.definition).prepare(context), name)
  }

  private func compare(_ plan: ExecutorPlan, _ name: String) throws {
    let path = "\(Self.directory)/\(name).txt"
    let text = Self.render(plan)
    if getenv("BOTBURROW_WRITE_GOLDEN") != nil {
      try Descriptor.open(path, O_WRONLY | O_CREAT | O_TRUNC, mode: 0o644).write(text.utf8)
    }
    #expect(
      text == (try readFile(path)), "if the new plan is meant, write it with BOTBURROW_WRITE_GOLDEN=1 and review it")
  }

  private static func render(_ plan: ExecutorPlan) -> String {
    var text = "arguments\n" + plan.arguments.map { "  \($0.isEmpty ? "''" : indented($0))\n" }.joined()
    text += "environment\n" + plan.environment.sorted { $0.key < $1.key }.map { "  \($0.key)=\($0.value)\n" }.joined()
    for file in plan.files {
      text += "file \(file.path)\n  \(indented(String(decoding: file.bytes, as: UTF8.self)))\n"
    }
    return text + "input\n  \(indented(String(decoding: plan.input, as: UTF8.self)))\nin \(plan.workingDirectory)\n"
  }

  private static func indented(_ text: String) -> String { text.replacing("\n", with: "\n  ") }
}
