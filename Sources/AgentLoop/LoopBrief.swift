import JSONText

/// What an activation's loop is told: its model, its limits, its tools. Travels as `/run/agent/loop.json`.
public struct LoopBrief: Sendable, Hashable {
  /// How the model is spoken to.
  public enum Dialect: String, Sendable, Hashable {
    /// `POST /v1/messages`
    case anthropic
    /// `POST /v1/chat/completions`
    case openAIChat = "openai-chat"
  }
  /// Where the loop ends by itself.
  public struct Limits: Sendable, Hashable {
    /// Calls of the model.
    public var iterations = 10
    /// Tokens sent and received over all calls.
    public var tokens = 100_000
    /// Seconds from start to answer.
    public var seconds = 300.0
    /// The usual limits.
    public init() {}
  }
  /// `capabilities.shell`.
  public struct Shell: Sendable, Hashable {
    /// Without it there is no tool `Bash`.
    public var enabled = false
    /// First words of commands that may run; empty for any.
    public var allowedCommands: [String] = []
    /// Texts that no command may contain.
    public var blockedPatterns: [String] = []
    /// Limit on one command.
    public var timeoutSeconds = 120.0
    /// No shell.
    public init() {}
  }
  /// An MCP server of this activation.
  public struct Server: Sendable, Hashable {
    /// Its name, a part of its tools' names.
    public var name: String
    /// Such as `http://198.18.0.1:8001/mcp/hub`.
    public var url: String
    /// A server by name and URL.
    public init(name: String, url: String) {
      self.name = name
      self.url = url
    }
  }
  /// How the model is spoken to.
  public var dialect: Dialect
  /// The model gateway without a path, such as `http://198.18.0.1:8000`.
  public var modelURL: String
  /// The provider's name of the model.
  public var model: String
  /// Tokens of one answer.
  public var answerTokens = 4096
  /// The provider's newer models take `max_completion_tokens` in the place of `max_tokens`; other servers know only that.
  public var usesCompletionTokens = false
  /// Sampling temperature; nil leaves it to the provider.
  public var temperature: Double?
  /// Tokens that the model takes in at once.
  public var window = 200_000
  /// Where the loop ends by itself.
  public var limits = Limits()
  /// Whether and how commands run.
  public var shell = Shell()
  /// The MCP servers.
  public var servers: [Server] = []
  /// The system prompt, whole.
  public var system = ""

  /// A brief with the usual limits.
  public init(dialect: Dialect, modelURL: String, model: String) {
    self.dialect = dialect
    self.modelURL = modelURL
    self.model = model
  }

  /// As it travels.
  public var json: JSONValue {
    var members: [String: JSONValue] = [
      "dialect": .string(dialect.rawValue), "model_url": .string(modelURL), "model": .string(model),
      "answer_tokens": .integer(Int64(answerTokens)), "window": .integer(Int64(window)), "system": .string(system),
      "limits": [
        "iterations": .integer(Int64(limits.iterations)), "tokens": .integer(Int64(limits.tokens)),
        "seconds": .number(limits.seconds),
      ],
      "servers": .array(servers.map { ["name": .string($0.name), "url": .string($0.url)] }),
    ]
    members["temperature"] = temperature.map { .number($0) }
    if usesCompletionTokens { members["uses_completion_tokens"] = true }
    if shell.enabled {
      members["shell"] = [
        "allowed_commands": .array(shell.allowedCommands.map { .string($0) }),
        "blocked_patterns": .array(shell.blockedPatterns.map { .string($0) }),
        "timeout_seconds": .number(shell.timeoutSeconds),
      ]
    }
    return .object(members)
  }

  /// Reads what `json` wrote; an error names the member that is missing or of another kind.
  public init(_ value: JSONValue) throws(JSONError) {
    func text(_ key: String) throws(JSONError) -> String {
      guard let text = value[key]?.string else { throw JSONError("'\(key)' is missing or not text") }
      return text
    }
    func number(_ place: JSONValue?, _ key: String) throws(JSONError) -> Double {
      guard let number = place?[key]?.double, number > 0 else {
        throw JSONError("'\(key)' is missing or not a number above 0")
      }
      return number
    }
    guard let dialect = Dialect(rawValue: try text("dialect")) else {
      throw JSONError("'dialect' is neither anthropic nor openai-chat")
    }
    self.init(dialect: dialect, modelURL: try text("model_url"), model: try text("model"))
    system = try text("system")
    answerTokens = Int(try number(value, "answer_tokens"))
    window = Int(try number(value, "window"))
    temperature = value["temperature"]?.double
    usesCompletionTokens = value["uses_completion_tokens"]?.bool ?? false
    limits.iterations = Int(try number(value["limits"], "iterations"))
    limits.tokens = Int(try number(value["limits"], "tokens"))
    limits.seconds = try number(value["limits"], "seconds")
    if let rules = value["shell"] {
      shell.enabled = true
      shell.allowedCommands = rules["allowed_commands"]?.array?.compactMap(\.string) ?? []
      shell.blockedPatterns = rules["blocked_patterns"]?.array?.compactMap(\.string) ?? []
      shell.timeoutSeconds = try number(rules, "timeout_seconds")
    }
    for server in value["servers"]?.array ?? [] {
      guard let name = server["name"]?.string, let url = server["url"]?.string else {
        throw JSONError("a server in 'servers' lacks 'name' or 'url'")
      }
      servers.append(Server(name: name, url: url))
    }
  }

  /// Where the brief is inside a sandbox.
  public static let path = "/run/agent/loop.json"
  /// The environment variable with the token that opens the activation's gateways.
  public static let tokenVariable = "BOTBURROW_GATEWAY_TOKEN"
}
