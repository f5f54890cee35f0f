/// `skills/<name>/SKILL.md`.
public struct Skill: Sendable, Hashable {
  /// `mcp.server`: the program that serves the skill's tools.
  public struct Server: Sendable, Hashable {
    /// The program.
    public var command: String
    /// Its arguments.
    public var arguments: [String]
    /// Its environment.
    public var environment: [String: String]
    /// A program with arguments and environment.
    public init(command: String, arguments: [String] = [], environment: [String: String] = [:]) {
      self.command = command
      self.arguments = arguments
      self.environment = environment
    }
  }
  /// Also the name of its directory: lower-case letters, digits, hyphens.
  public var name: String
  /// What it is for.
  public var description: String?
  /// Version of the skill.
  public var version: String?
  /// Who wrote it.
  public var author: String?
  /// Grants that an agent must hold to use it.
  public var requiresGrants: [Grant]
  /// Programs that must be in the sandbox.
  public var requiresCLI: [String] = []
  /// Words that bring it up.
  public var keywords: [String]
  /// Communities that bring it up, each `m/name`.
  public var communities: [String]
  /// The program that serves its tools; nil where it has none.
  public var server: Server?
  /// The Markdown below the front matter.
  public var body: String
  /// A skill of its parts.
  public init(
    name: String, description: String? = nil, requiresGrants: [Grant] = [], keywords: [String] = [],
    communities: [String] = [], body: String
  ) {
    self.name = name
    self.description = description
    self.requiresGrants = requiresGrants
    self.keywords = keywords
    self.communities = communities
    self.body = body
  }
}

/// Everything an activation needs to know of its agent.
public struct LoadedAgent: Sendable, Hashable {
  /// `config.yaml`.
  public var definition: AgentDefinition
  /// `system-prompt.md`, empty where there is none.
  public var systemPrompt: String
  /// In the order of the definition.
  public var skills: [Skill]
  /// Name of the definition's file for messages, such as `agents/claude-coder-1/config.yaml`.
  public var file: String
  /// What it was read from; empty where the source can't tell whether that has changed.
  public var files: [DefinitionFile] = []
  /// An agent of its parts.
  public init(definition: AgentDefinition, systemPrompt: String, skills: [Skill], file: String = "config.yaml") {
    self.definition = definition
    self.systemPrompt = systemPrompt
    self.skills = skills
    self.file = file
  }
}
