import Addresses

/// One MCP server that agents may be given: what to start or to call, what it may reach, what its tools need.
public struct ServerEntry: Sendable, Hashable {
  /// Where its tools are.
  public enum Place: Sendable, Hashable {
    /// A program that speaks MCP on its standard streams, started beside the agent in a sandbox of its own.
    case program(command: String, arguments: [String], environment: [String: SecretText])
    /// A server that is there already, called by the runner.
    case url(String, headers: [String: SecretText])
  }
  /// What a call of a tool needs.
  public enum Need: Sendable, Hashable {
    /// Every one of these grants.
    case grants([Grant])
    /// Nobody may call it.
    case never
  }

  /// Also the part of the path behind `/mcp/`.
  public var name: String
  /// For readers.
  public var description: String?
  /// What to start or to call.
  public var place: Place
  /// Of the operator's catalogue; otherwise it comes with an agent's definition or a skill.
  public var isOperators = true
  /// What the program may reach, through the runner's proxy alone; nothing where there are none.
  public var hosts: [HostRule] = []
  /// Addresses that aren't of the public Internet and may be reached all the same, if `hosts` names them.
  public var privateAddresses: [AddressBlock] = []
  /// What a tool needs that `tools` doesn't name.
  public var grants: [Grant]
  /// By a tool's name, or the beginning of names with `*` behind it.
  public var tools: [String: Need] = [:]
  /// From its start to its answer to `initialize`.
  public var startTimeout: Duration = .seconds(30)
  /// One call.
  public var callTimeout: Duration = .seconds(60)
  /// Bytes of one result as JSON.
  public var resultLimit = 1 << 20
  /// The sandbox profile, where it isn't the usual one.
  public var profile: String?

  /// A server with defaults: its tools need `<name>:use`.
  public init(name: String, place: Place) {
    self.name = name
    self.place = place
    grants = [Grant(service: name, permission: "use")]
  }

  /// What a tool needs: its own line, else the longest beginning that fits, else `grants`.
  public func need(of tool: String) -> Need {
    if let own = tools[tool] { return own }
    let fitting = tools.filter { $0.key.hasSuffix("*") && tool.hasPrefix($0.key.dropLast()) }
    return fitting.max { $0.key.utf8.count < $1.key.utf8.count }?.value ?? .grants(grants)
  }

  /// Whether these grants let a tool be seen and called.
  public func permits(_ tool: String, _ held: HeldGrants) -> Bool {
    guard case .grants(let needed) = need(of: tool) else { return false }
    return needed.allSatisfy(held.permit)
  }

  /// Whether any tool can be there for who holds these: otherwise it isn't started.
  public func permitsAny(_ held: HeldGrants) -> Bool {
    if grants.allSatisfy(held.permit) { return true }
    return tools.values.contains { need in
      if case .grants(let needed) = need { needed.allSatisfy(held.permit) } else { false }
    }
  }

  /// Names of the secrets that it refers to, each once.
  public var secrets: [String] {
    let texts: [SecretText] =
      switch place {
      case .program(_, _, let environment): Array(environment.values)
      case .url(_, let headers): Array(headers.values)
      }
    return Set(texts.flatMap(\.secrets)).sorted()
  }
}
