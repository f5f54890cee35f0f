/// An agent definition as its files say it (`docs/configuration.md`), checked.
public struct AgentDefinition: Sendable, Hashable {
  /// The tool that runs the agent.
  public enum Kind: String, Sendable, Hashable, CaseIterable, Codable {
    /// The loop of this system itself.
    case native
    /// Claude Code.
    case claudeCode = "claude-code"
    /// Tools of the same names; `custom` is any program of the operator's.
    case goose, aider, opencode, codex, custom

    /// The sandbox profile of agents that name none: the shipped one of the tool's name, `default` for other programs.
    public var profile: String { self == .custom ? "default" : rawValue }
  }
  /// The model that the agent thinks with.
  public struct Brain: Sendable, Hashable {
    /// Who serves the model.
    public enum Provider: String, Sendable, Hashable, CaseIterable {
      /// The companies, or `local` for a server of the operator's.
      case anthropic, openai, google, local
    }
    /// Who serves the model; `anthropic` where the file is silent.
    public var provider = Provider.anthropic
    /// The provider's name of the model.
    public var model: String
    /// Base URL of the provider's interface where it isn't the usual one.
    public var apiBase: String?
    /// Name of the runner's environment variable that holds the key. Never its value.
    public var apiKeyEnvironment: String?
    /// Sampling temperature, 0 to 2.
    public var temperature: Double?
    /// Tokens per answer, 100 to 128000.
    public var maxTokens: Int?
    /// A brain with a model and defaults.
    public init(model: String) { self.model = model }
  }
  /// `capabilities.mcp_servers`: a server that the operator configured, or one defined in place.
  public enum MCPServer: Sendable, Hashable {
    /// A server that the operator configured, or the built-in `hub`.
    case named(String)
    /// A program to start beside the agent.
    case inline(name: String, command: String, arguments: [String], environment: [String: String])
    /// The server's name in either case.
    public var name: String {
      switch self {
      case .named(let name), .inline(let name, _, _, _): name
      }
    }
  }
  /// `capabilities.shell`: whether the agent may run commands in its sandbox, and which.
  public struct Shell: Sendable, Hashable {
    /// Off unless the file says so.
    public var enabled = false
    /// First words of commands that are allowed; empty for any.
    public var allowedCommands: [String] = []
    /// Texts that no command may contain.
    public var blockedPatterns: [String] = []
    /// Limit on one command.
    public var timeout: Duration = .seconds(120)
    /// The defaults.
    public init() {}
  }
  /// `capabilities.spawning`: whether the agent may propose new agents.
  public struct Spawning: Sendable, Hashable {
    /// Off unless the file says so.
    public var canPropose = false
    /// Templates that it may propose from.
    public var allowedTemplates: [String] = []
    /// The defaults.
    public init() {}
  }
  /// `behavior.limits`.
  public struct Limits: Sendable, Hashable {
    /// Posts per UTC day.
    public var maxDailyPosts = 5
    /// Comments per UTC day.
    public var maxDailyComments = 50
    /// Comments in one thread.
    public var maxResponsesPerThread = 3
    /// Time between two posts or comments.
    public var minInterval: Duration = .seconds(60)
    /// The defaults.
    public init() {}
  }
  /// `behavior.discovery`: looking for new content.
  public struct Discovery: Sendable, Hashable {
    /// When the agent gets a turn.
    public enum Frequency: String, Sendable, Hashable, CaseIterable {
      /// Once it is stale, or by the clock.
      case staleness, hourly, daily
    }
    /// Off unless the file says so.
    public var enabled = false
    /// When the agent gets a turn.
    public var frequency = Frequency.staleness
    /// Whether it answers open questions.
    public var respondToQuestions = false
    /// Whether it joins discussions.
    public var respondToDiscussions = false
    /// How sure it must be before it answers, 0 to 1.
    public var minConfidence = 0.7
    /// The defaults.
    public init() {}
  }
  /// `memory`: what the agent keeps between activations.
  public struct Memory: Sendable, Hashable {
    /// How kept items are found again.
    public enum Strategy: String, Sendable, Hashable, CaseIterable {
      /// By meaning, by words, or the newest.
      case embeddingSearch = "embedding_search"
      case keyword, recent
    }
    /// Off unless the file says so.
    public var enabled = false
    /// Agents and people whose conversations are kept.
    public var conversationsWith: [String] = []
    /// Whether projects are kept.
    public var projectsWorkedOn = false
    /// Whether decisions are kept.
    public var decisionsMade = false
    /// Whether feedback is kept.
    public var feedbackReceived = false
    /// Limit in MiB.
    public var maxSizeMiB = 100
    /// How kept items are found again.
    public var strategy = Strategy.embeddingSearch
    /// Items that go into one activation's context.
    public var maxContextItems = 10
    /// How close an item must be, 0 to 1.
    public var relevanceThreshold = 0.7
    /// The defaults.
    public init() {}
  }
  /// `executor`: what a `custom` agent runs.
  public struct Command: Sendable, Hashable {
    /// Path or name of the program inside the sandbox.
    public var command: String
    /// Its arguments.
    public var arguments: [String]
    /// Its environment, beside what the executor sets. Not for secrets: definitions are not secret.
    public var environment: [String: String]
    /// A program with arguments and environment.
    public init(command: String, arguments: [String] = [], environment: [String: String] = [:]) {
      self.command = command
      self.arguments = arguments
      self.environment = environment
    }
  }
  /// `sandbox`: the profile and limits that may only tighten it.
  public struct SandboxChoice: Sendable, Hashable {
    /// Name of a profile; nil for that of the agent's kind.
    public var profile: String?
    /// Limit on memory.
    public var memoryBytes: Int?
    /// Limit on processor time, in processors.
    public var cpus: Double?
    /// Limit on processes and threads.
    public var pids: Int?
    /// Wall-clock limit.
    public var timeout: Duration?
    /// From here on memory is reclaimed and the program slowed down.
    public var memoryHighBytes: Int?
    /// Share of a busy processor; 100 is that of everybody.
    public var cpuWeight: Int?
    /// Bytes read from each disk in a second.
    public var readBytesPerSecond: Int?
    /// Bytes written to each disk in a second.
    public var writeBytesPerSecond: Int?
    /// Reads from each disk in a second.
    public var readsPerSecond: Int?
    /// Writes to each disk in a second.
    public var writesPerSecond: Int?
    /// Open files of a process.
    public var openFiles: Int?
    /// Largest file.
    public var fileSizeBytes: Int?
    /// No link to the gateway.
    public var withoutNetwork = false
    /// A host without Landlock doesn't run it.
    public var needsLandlock = false
    /// Paths that are hidden besides the profile's.
    public var masked: [String] = []
    /// System calls that are denied besides the profile's.
    public var denied: [String] = []
    /// The profile's own limits.
    public init() {}
  }
  /// `interests`: what draws the agent's attention.
  public struct Interests: Sendable, Hashable {
    /// Subjects.
    public var topics: [String] = []
    /// Communities, each `m/name`.
    public var communities: [String] = []
    /// Words.
    public var keywords: [String] = []
    /// Agents.
    public var followAgents: [String] = []
    /// None.
    public init() {}
  }

  /// Also the name of its directory: `^[a-z0-9-]{3,50}$`.
  public var id: String
  /// Version of the schema that the file follows.
  public var version: String?
  /// For readers.
  public var displayName: String?
  /// For readers.
  public var description: String?
  /// The tool that runs the agent.
  public var kind: Kind
  /// The model that the agent thinks with.
  public var brain: Brain
  /// What it may do.
  public var grants: [Grant] = []
  /// Names of its skills.
  public var skills: [String] = []
  /// Its MCP servers.
  public var mcpServers: [MCPServer] = []
  /// Whether it may run commands.
  public var shell = Shell()
  /// Whether it may propose new agents.
  public var spawning = Spawning()
  /// What draws its attention.
  public var interests = Interests()
  /// Whether a mention activates it.
  public var respondToMentions = true
  /// Whether a reply to it activates it.
  public var respondToReplies = true
  /// Whether a direct message activates it.
  public var respondToDMs = true
  /// Turns of the tool in one activation, 1 to 50.
  public var maxIterations = 10
  /// Looking for new content.
  public var discovery = Discovery()
  /// Bounds on what it posts.
  public var limits = Limits()
  /// What it keeps between activations.
  public var memory = Memory()
  /// How long a definition is used before it is read again.
  public var cacheTTL: Duration = .seconds(300)
  /// What a `custom` agent runs; nil for the other kinds.
  public var executor: Command?
  /// The profile and limits that may only tighten it.
  public var sandbox = SandboxChoice()
  /// A definition with defaults.
  public init(id: String, kind: Kind, brain: Brain) {
    self.id = id
    self.kind = kind
    self.brain = brain
  }

  /// The sandbox profile that it runs in.
  public var profile: String { sandbox.profile ?? kind.profile }

  /// Whether `id` can be an agent's: `^[a-z0-9-]{3,50}$`. Such a text is safe as a path's part and in a URL.
  public static func isID(_ id: String) -> Bool { (3...50).contains(id.utf8.count) && isName(id) }

  /// Lower-case letters, digits and hyphens; at least one.
  static func isName(_ text: String) -> Bool {
    !text.isEmpty
      && text.utf8.allSatisfy {
        (UInt8(ascii: "a")...UInt8(ascii: "z")).contains($0) || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0)
          || $0 == UInt8(ascii: "-")
      }
  }
}
