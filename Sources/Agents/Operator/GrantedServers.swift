/// Which tool servers an activation has, and which not and why. Pure.
public struct GrantedServers: Sendable, Hashable {
  /// One that was asked for and isn't there.
  public struct Missing: Sendable, Hashable {
    /// The server's name.
    public var name: String
    /// One clause that says what to do.
    public var reason: String
  }
  /// What the agent holds in the end.
  public var held: HeldGrants
  /// Whether it has the built-in server `hub`.
  public var hasHub: Bool
  /// Beside the hub, in the order in which they were asked for.
  public var servers: [ServerEntry] = []
  /// Those that it asks for and doesn't get.
  public var missing: [Missing] = []

  /// Decides.
  /// - Parameters:
  ///   - skills: those that the activation shows its agent; each may bring a server.
  public init(_ definition: AgentDefinition, skills: [Skill] = [], operator files: OperatorFiles) {
    held = files.permissions.held(definition.grants, by: definition.id)
    hasHub = held.permitAny(of: "hub")
    let inline = files.permissions.inlineServers(of: definition.id)
    var wanted = definition.mcpServers.filter { $0.name != "hub" }
    for skill in skills {
      guard let server = skill.server, !wanted.contains(where: { $0.name == skill.name }) else { continue }
      wanted.append(
        .inline(
          name: skill.name, command: server.command, arguments: server.arguments, environment: server.environment))
    }
    for server in wanted {
      switch Self.entry(server, files, inline) {
      case .success(let entry) where entry.permitsAny(held):
        // The supervisor opens at most 32 ports for one activation; the model gateway and the hub have two.
        if servers.count < 30 {
          servers.append(entry)
        } else {
          missing.append(Missing(name: entry.name, reason: "an agent can have 30 servers; this is one more"))
        }
      case .success(let entry):
        missing.append(Missing(name: entry.name, reason: Self.wantedGrants(entry)))
      case .failure(let absence):
        missing.append(Missing(name: server.name, reason: absence.reason))
      }
    }
  }

  private struct Absence: Error {
    var reason: String
  }

  private static func entry(
    _ server: AgentDefinition.MCPServer, _ files: OperatorFiles, _ inline: Permissions.InlineServers
  ) -> Result<ServerEntry, Absence> {
    switch server {
    case .named(let name):
      if let entry = files.servers[name] { return .success(entry) }
      let known = (files.servers.keys + ["hub"]).sorted().joined(separator: ", ")
      return .failure(Absence(reason: "it isn't in the operator's mcp-servers.yaml; known here: \(known)"))
    case .inline(let name, let command, let arguments, let environment):
      if files.servers[name] != nil || name == "hub" || name == "model" {
        return .failure(
          Absence(
            reason: "its name is that of another server; rename it, or list the name alone to use that one"))
      }
      guard inline.allows(command) else {
        return .failure(
          Absence(
            reason: "permissions.yaml doesn't let this agent start '\(command)'; "
              + "the operator can list it in 'inline_servers.commands'"))
      }
      // Whatever a definition writes is text: it can't refer to the operator's secrets.
      let plain = environment.compactMapValues { SecretText($0.replacing("$", with: "$$")) }
      var entry = ServerEntry(
        name: name, place: .program(command: command, arguments: arguments, environment: plain))
      entry.isOperators = false
      return .success(entry)
    }
  }

  private static func wantedGrants(_ entry: ServerEntry) -> String {
    var wanted: Set<String> = Set(entry.grants.map(\.description))
    for case .grants(let grants) in entry.tools.values { wanted.formUnion(grants.map(\.description)) }
    let words = wanted.sorted().prefix(6).joined(separator: ", ")
    return
      "no grant that this agent holds opens one of its tools; they need: \(words.isEmpty ? "nothing anybody has" : words)"
  }

  /// In words, for `agents check`: each server with where it runs, what it may reach, and its tools as far as they are known.
  public var words: [String] {
    let hub = hasHub ? ["tools of hub: the built-in server, called by the runner with the Hub's key"] : []
    return hub
      + servers.map { entry in
        let place: String =
          switch entry.place {
          case .program(let command, _, _):
            "\(command) in a sandbox of its own, which reaches "
              + (entry.hosts.isEmpty ? "no network" : entry.hosts.map(\.description).joined(separator: ", "))
          case .url(let url, _): "\(url), called by the runner"
          }
        return "tools of \(entry.name): \(place); \(tools(of: entry))"
      }
      + missing.map { "no tools of \($0.name): \($0.reason)" }
  }

  private func tools(of entry: ServerEntry) -> String {
    let named = entry.tools.keys.sorted()
    let open = named.filter { entry.permits($0, held) }
    let closed = named.filter { !entry.permits($0, held) }
    let others = entry.grants.allSatisfy(held.permit)
    var words: [String] = []
    if others {
      words.append(closed.isEmpty ? "all of them" : "all but \(closed.joined(separator: ", "))")
    } else if !open.isEmpty {
      words.append("only \(open.joined(separator: ", "))")
    }
    return words.joined(separator: "; ")
  }
}
