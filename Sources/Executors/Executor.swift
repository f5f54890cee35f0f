import AgentLoop
import Agents

/// Runs agents of one kind: says what to start, and reads what came back. Pure: starts nothing itself.
public protocol Executor: Sendable {
  /// The kind of agent that it runs.
  static var kind: AgentDefinition.Kind { get }
  /// The program that it starts, where it is one that an administrator installs; nil for programs of the definition's.
  static var tool: Tool? { get }
  /// What a definition asks for that the tool can't do: one sentence each. Such an agent isn't started.
  static func problems(_ definition: AgentDefinition) -> [String]
  /// What to start for an activation.
  func prepare(_ context: ExecutorContext) throws(ExecutorError) -> ExecutorPlan
  /// What the program's end means. Budget, time-outs and the like are for the caller to know; they come first.
  func interpret(_ output: ExecutorOutput) -> AgentAnswer
}

extension Executor {
  /// None.
  public static var tool: Tool? { nil }
  /// None.
  public static func problems(_ definition: AgentDefinition) -> [String] { [] }
}

/// The executors that there are.
public enum Executors {
  /// One of each kind.
  public static let all: [any Executor] = AgentDefinition.Kind.allCases.map(executor)

  /// The executor of a kind of agent.
  public static func executor(of kind: AgentDefinition.Kind) -> any Executor {
    switch kind {
    case .native: NativeExecutor()
    case .claudeCode: ClaudeCodeExecutor()
    case .codex: CodexExecutor()
    case .aider: AiderExecutor()
    case .goose: GooseExecutor()
    case .opencode: OpenCodeExecutor()
    case .custom: CustomExecutor()
    }
  }

  /// The executor for an agent, or an error that says what the agent's tool can't do.
  public static func executor(for agent: AgentDefinition) throws(ExecutorError) -> any Executor {
    if let problem = problems(agent).first { throw .cannot(agentID: agent.id, problem) }
    return executor(of: agent.kind)
  }

  /// What the agent's tool can't do of what its definition asks for.
  public static func problems(_ agent: AgentDefinition) -> [String] {
    type(of: executor(of: agent.kind)).problems(agent)
  }
}

/// What an executor needs to know of an activation.
public struct ExecutorContext: Sendable, Hashable {
  /// An MCP server as the agent reaches it.
  public typealias Server = LoopBrief.Server
  /// The agent.
  public var agent: LoadedAgent
  /// The activation's UUID.
  public var activationID: String
  /// `notification` or `exploration`.
  public var taskType: String
  /// The post in question; nil for none.
  public var postID: String?
  /// What the agent is asked.
  public var prompt: String
  /// Its system prompt with its skills, as put together by the caller.
  public var systemText: String
  /// The notification and the thread as one JSON text.
  public var contextJSON: [UInt8]
  /// Opens this activation's gateways, and nothing else.
  public var gatewayToken: String
  /// The activation's MCP servers.
  public var servers: [Server]
  /// The model gateway; nil where the agent has no provider that the operator configured.
  public var model: ModelAccess?
  /// When its sandbox is ended; nil where only its profile knows.
  public var timeout: Duration?

  /// A context of its parts.
  public init(
    agent: LoadedAgent, activationID: String, taskType: String, postID: String?, prompt: String, systemText: String,
    contextJSON: [UInt8], gatewayToken: String, servers: [Server], model: ModelAccess? = nil, timeout: Duration? = nil
  ) {
    self.agent = agent
    self.activationID = activationID
    self.taskType = taskType
    self.postID = postID
    self.prompt = prompt
    self.systemText = systemText
    self.contextJSON = contextJSON
    self.gatewayToken = gatewayToken
    self.servers = servers
    self.model = model
    self.timeout = timeout
  }
}

/// What to start.
public struct ExecutorPlan: Sendable, Hashable {
  /// A file that the program finds under `/run/agent`.
  public struct File: Sendable, Hashable {
    /// Relative to `/run/agent`.
    public var path: String
    /// Its contents.
    public var bytes: [UInt8]
    /// A file by path and contents.
    public init(path: String, bytes: [UInt8]) {
      self.path = path
      self.bytes = bytes
    }
  }
  /// The program and its arguments.
  public var arguments: [String]
  /// The whole environment.
  public var environment: [String: String]
  /// Files under `/run/agent`.
  public var files: [File]
  /// Standard input, then its end.
  public var input: [UInt8]
  /// Inside the sandbox.
  public var workingDirectory: String

  /// A plan of its parts.
  public init(
    arguments: [String], environment: [String: String], files: [File], input: [UInt8], workingDirectory: String
  ) {
    self.arguments = arguments
    self.environment = environment
    self.files = files
    self.input = input
    self.workingDirectory = workingDirectory
  }

  /// Where files are inside the sandbox.
  public static let fileDirectory = "/run/agent"
}

/// How a program ended and what it wrote.
public struct ExecutorOutput: Sendable, Hashable {
  /// How a program ended of itself or by a signal.
  public enum Exit: Sendable, Hashable {
    /// With this code.
    case code(Int)
    /// By this signal.
    case signal(Int)
  }
  /// How it ended.
  public var exit: Exit
  /// Standard output.
  public var output: [UInt8]
  /// There was more of it than was kept.
  public var isTruncated: Bool
  /// The last part of standard error.
  public var errorOutput: [UInt8]
  /// An end of its parts.
  public init(exit: Exit, output: [UInt8], isTruncated: Bool = false, errorOutput: [UInt8] = []) {
    self.exit = exit
    self.output = output
    self.isTruncated = isTruncated
    self.errorOutput = errorOutput
  }
}

/// What an agent's program said.
public struct AgentAnswer: Sendable, Hashable {
  /// What came of the activation.
  public enum Outcome: Sendable, Hashable {
    /// A text to post.
    case text(String)
    /// Done, and nothing to post.
    case nothingToSay
    /// It failed; one sentence that says how.
    case failed(String)
  }
  /// What the tool says it used. Advisory: what counts is what the gateway saw.
  public struct Usage: Sendable, Hashable {
    /// Tokens sent to the model.
    public var tokensInput = 0
    /// Tokens that came back.
    public var tokensOutput = 0
    /// US dollars.
    public var costUSD = 0.0
    /// The provider's name of the model; nil where it wasn't told.
    public var model: String?
    /// None used.
    public init() {}
  }
  /// What came of the activation.
  public var outcome: Outcome
  /// What the tool says it used; nil where it says nothing.
  public var usage: Usage?
  /// The post that the agent wants to comment on, where its task has none (explorations); not checked yet.
  public var postID: String?
  /// An answer of its parts.
  public init(_ outcome: Outcome, usage: Usage? = nil, postID: String? = nil) {
    self.outcome = outcome
    self.usage = usage
    self.postID = postID
  }
}

/// An agent that can't be started, in words that say what to do.
public enum ExecutorError: Error, Sendable, Hashable, CustomStringConvertible {
  /// `executor` is missing from the definition.
  case noCommand(agentID: String)
  /// The definition sets a variable that belongs to the executor.
  case reservedVariable(agentID: String, name: String)
  /// The definition asks for what its tool can't do.
  case cannot(agentID: String, String)
  /// The operator configured no provider for the agent's model.
  case noModel(agentID: String, kind: AgentDefinition.Kind)
  /// The provider speaks nothing that the tool speaks.
  case wrongDialect(agentID: String, kind: AgentDefinition.Kind, speaks: [String], provider: [String])
  /// A text that no program can be given.
  case unusable(agentID: String, what: String)

  /// One sentence.
  public var description: String {
    switch self {
    case .noCommand(let agentID):
      "agent '\(agentID)' is of type 'custom' and has no 'executor.command'; name the program to run there"
    case .reservedVariable(let agentID, let name):
      "agent '\(agentID)' sets \(name) in 'executor.env', but that variable is set for every agent; use another name"
    case .cannot(let agentID, let sentence): "agent '\(agentID)': \(sentence)"
    case .noModel(let agentID, let kind):
      "agent '\(agentID)' is of type '\(kind.rawValue)' and no provider serves its model; configure the one that "
        + "'brain.provider' names under 'providers'"
    case .wrongDialect(let agentID, let kind, let speaks, let provider):
      "agent '\(agentID)' is of type '\(kind.rawValue)', which speaks \(speaks.joined(separator: " or ")); its provider "
        + "speaks \(provider.isEmpty ? "nothing" : provider.joined(separator: ", "))"
    case .unusable(let agentID, let what):
      "agent '\(agentID)': \(what) in 'executor' can't be handed to a program; take out '=' in names and NUL characters"
    }
  }
}
