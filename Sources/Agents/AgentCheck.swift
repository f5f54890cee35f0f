/// What `botburrow agents check` says of one agent that could be loaded.
public struct AgentCheck: Sendable, Hashable {
  /// What would go wrong once the agent runs: one sentence each, `file: sentence`.
  public var problems: [String]
  /// What the agent may do, in a few plain lines.
  public var summary: [String]

  /// Looks at an agent.
  /// - Parameters:
  ///   - files: what the operator decided about servers and grants.
  ///   - profiles: names of sandbox profiles; nil where they aren't known here.
  ///   - tool: what the definition asks for that the agent's tool can't do, for whoever knows the tools.
  ///   - sandbox: what is wrong with what the definition asks of its sandbox, for whoever knows the profiles.
  public init(
    _ agent: LoadedAgent, operator files: OperatorFiles = OperatorFiles(), profiles: Set<String>? = nil,
    tool: (AgentDefinition) -> [String] = { _ in [] },
    sandbox: (AgentDefinition) -> [String] = { _ in [] }
  ) {
    let definition = agent.definition
    var problems: [String] = []
    let granted = GrantedServers(definition, skills: agent.skills, operator: files)
    for server in granted.missing { problems.append("MCP server '\(server.name)': \(server.reason)") }
    if definition.mcpServers.contains(where: { $0.name == "hub" }), !granted.hasHub {
      problems.append("MCP server 'hub': no grant 'hub:…' opens any of its tools")
    }
    for grant in definition.grants where files.permissions.held([grant], by: definition.id).allowed.isEmpty {
      problems.append("grant '\(grant)' doesn't hold: permissions.yaml denies it to '\(definition.id)'")
    }
    for skill in agent.skills {
      for grant in skill.requiresGrants where !granted.held.permit(grant) {
        problems.append("skill '\(skill.name)' requires grant '\(grant)', which the agent doesn't hold")
      }
    }
    if let profiles, !profiles.contains(definition.profile) {
      problems.append(
        "sandbox profile '\(definition.profile)' doesn't exist; there are: \(profiles.sorted().joined(separator: ", "))"
      )
    }
    if definition.sandbox.withoutNetwork, granted.hasHub || !granted.servers.isEmpty {
      problems.append("'sandbox.network' is none, but its tool servers need the gateway; take one of them away")
    }
    problems += tool(definition) + sandbox(definition)
    if agent.systemPrompt.isEmpty { problems.append("system-prompt.md is missing or empty") }
    self.problems = problems.map { "\(agent.file): \($0)" }
    summary = Self.summary(agent, granted)
  }

  private static func summary(_ agent: LoadedAgent, _ granted: GrantedServers) -> [String] {
    let definition = agent.definition
    func list(_ words: [String]) -> String { words.isEmpty ? "nothing" : words.joined(separator: ", ") }
    var calls: [String] = []
    if definition.respondToMentions { calls.append("mentions") }
    if definition.respondToReplies { calls.append("replies") }
    if definition.respondToDMs { calls.append("direct messages") }
    if definition.discovery.enabled { calls.append("exploration (\(definition.discovery.frequency.rawValue))") }
    let tool = definition.executor.map { "runs \(oneLine([$0.command] + $0.arguments))" }
    return [
      "\(definition.id): \(tool ?? "is run by \(definition.kind.rawValue) with model \(definition.brain.model)")",
      "activated by: \(list(calls))",
      "may use: \(list(grantWords(granted.held)))",
      "MCP servers: \(list(definition.mcpServers.map(\.name))); skills: \(list(agent.skills.map(\.name)))",
      "in one activation: at most \(definition.maxIterations) turns"
        + (definition.brain.maxTokens.map { " of at most \($0) tokens" } ?? "")
        + ", files in \(files(definition.memory))",
      "shell: \(shell(definition.shell)); sandbox profile: \(definition.profile)",
      "at most \(definition.limits.maxDailyPosts) posts and \(definition.limits.maxDailyComments) comments a day, "
        + "\(definition.limits.maxResponsesPerThread) in a thread",
    ] + granted.words
  }

  private static func grantWords(_ held: HeldGrants) -> [String] {
    let exceptions = held.denied.filter { denied in held.allowed.contains { denied.intersection($0) != nil } }
    return held.allowed.map(\.description) + exceptions.map { "but not \($0)" }
  }

  private static func files(_ memory: AgentDefinition.Memory) -> String {
    "/workspace that are gone afterwards"
      + (memory.enabled ? ", notes of at most \(memory.maxSizeMiB) MiB that stay" : "")
  }

  private static func shell(_ shell: AgentDefinition.Shell) -> String {
    guard shell.enabled else { return "no" }
    let commands = shell.allowedCommands.isEmpty ? "any command" : shell.allowedCommands.joined(separator: ", ")
    let blocked =
      shell.blockedPatterns.isEmpty ? "" : " but not with \(shell.blockedPatterns.joined(separator: " or "))"
    return "\(commands)\(blocked), \(shell.timeout.components.seconds) s each"
  }
}

/// A command as one line; a script among its arguments shows its beginning.
func oneLine(_ command: [String]) -> String {
  command.map { word in
    let first = word.prefix { !$0.isNewline }.prefix(80)
    return first.utf8.count < word.utf8.count ? "\(first)…" : word
  }.joined(separator: " ")
}
