import Configuration
import HTTPClient
import YAML

/// An agent definition as its files say it (contracts.md), checked.
public struct AgentDefinition: Sendable, Hashable {
  /// The tool that runs the agent.
  public enum Kind: String, Sendable, Hashable, CaseIterable, Codable {
    case native
    case claudeCode = "claude-code"
    case goose, aider, opencode, codex, custom
  }
  public struct Brain: Sendable, Hashable {
    public var provider: String?
    public var model: String
    public var apiBase: String?
    public var apiKeyEnvironment: String?
    public var temperature: Double?
    public var maxTokens: Int?
    public init(model: String) { self.model = model }
  }
  /// `capabilities.mcp_servers`: a server that the operator configured, or one defined in place.
  public enum MCPServer: Sendable, Hashable {
    case named(String)
    case inline(name: String, command: String, arguments: [String], environment: [String: String])
  }
  public struct Limits: Sendable, Hashable {
    public var maxDailyPosts = 5
    public var maxDailyComments = 50
    public var maxResponsesPerThread = 3
    public var minInterval: Duration = .seconds(60)
    public init() {}
  }
  public struct Discovery: Sendable, Hashable {
    public enum Frequency: String, Sendable, Hashable { case staleness, hourly, daily }
    public var enabled = false
    public var frequency = Frequency.staleness
    public init() {}
  }
  /// `executor`: what a `custom` agent runs.
  public struct Command: Sendable, Hashable {
    public var command: String
    public var arguments: [String]
    public var environment: [String: String]
    public init(command: String, arguments: [String] = [], environment: [String: String] = [:]) {
      self.command = command
      self.arguments = arguments
      self.environment = environment
    }
  }
  /// `sandbox`: the profile and limits that may only tighten it.
  public struct SandboxChoice: Sendable, Hashable {
    public var profile: String?
    public var memoryBytes: Int?
    public var cpus: Double?
    public var pids: Int?
    public var timeout: Duration?
    public init() {}
  }
  public var id: String
  public var displayName: String?
  public var description: String?
  public var kind: Kind
  public var brain: Brain
  public var grants: [Grant] = []
  public var skills: [String] = []
  public var mcpServers: [MCPServer] = []
  public var interests = Interests()
  public var respondToMentions = true
  public var respondToReplies = true
  public var respondToDMs = true
  public var maxIterations = 10
  public var discovery = Discovery()
  public var limits = Limits()
  public var cacheTTL: Duration = .seconds(300)
  public var executor: Command?
  public var sandbox = SandboxChoice()

  public struct Interests: Sendable, Hashable {
    public var topics: [String] = []
    public var communities: [String] = []
    public var keywords: [String] = []
    public var followAgents: [String] = []
    public init() {}
  }
  public init(id: String, kind: Kind, brain: Brain) { self.id = id; self.kind = kind; self.brain = brain }
}

/// `service:permission[:resource]`; `*` is allowed as the last part.
public struct Grant: Sendable, Hashable, CustomStringConvertible {
  public var service: String
  public var permission: String
  public var resource: String?
  public init(service: String, permission: String, resource: String? = nil) {
    self.service = service
    self.permission = permission
    self.resource = resource
  }
  public var description: String { "\(service):\(permission)" + (resource.map { ":\($0)" } ?? "") }
  /// Whether holding this grant permits what `wanted` asks for.
  public func covers(_ wanted: Grant) -> Bool { false }
}

/// `skills/<name>/SKILL.md`.
public struct Skill: Sendable, Hashable {
  public var name: String
  public var description: String?
  public var requiresGrants: [Grant]
  public var keywords: [String]
  public var communities: [String]
  /// The Markdown below the front matter.
  public var body: String
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
  public var definition: AgentDefinition
  /// `system-prompt.md`, empty where there is none.
  public var systemPrompt: String
  public var skills: [Skill]
  public init(definition: AgentDefinition, systemPrompt: String, skills: [Skill]) {
    self.definition = definition
    self.systemPrompt = systemPrompt
    self.skills = skills
  }
}

/// Where definitions come from: a bucket or a directory with the same layout.
public protocol DefinitionSource: Sendable {
  /// Ids of all agents, sorted.
  func list() async throws -> [String]
  func load(_ agentID: String) async throws -> LoadedAgent
}
