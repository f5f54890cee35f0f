/// `config/permissions.yaml`: what definitions may ask for at most.
public struct Permissions: Sendable, Hashable {
  /// Programs that definitions and skills may have started beside their agent.
  public struct InlineServers: Sendable, Hashable {
    /// Off unless the file says so.
    public var allowed = false
    /// The commands, as definitions write them; `*` for any.
    public var commands: [String] = []
    /// None.
    public init() {}
    /// Whether this command may be started.
    public func allows(_ command: String) -> Bool {
      allowed && commands.contains { $0 == "*" || $0 == command }
    }
  }
  /// What is said of one agent, of agents whose names begin so, or of all.
  public struct Rule: Sendable, Hashable {
    /// Nil: as the rule before this one says.
    public var allow: [GrantPattern]?
    /// Added to what is denied already.
    public var deny: [GrantPattern] = []
    /// Nil: as the rule before this one says.
    public var inlineServers: InlineServers?
    /// Says nothing.
    public init() {}
  }
  /// For every agent.
  public var standard = Rule()
  /// By an agent's name, or the beginning of names with `*` behind it.
  public var agents: [String: Rule] = [:]

  /// Without a file: every grant of a definition holds, and no program comes with one.
  public init() {}

  /// The rules for an agent, the most general first: later ones overrule `allow`, and add to `deny`.
  private func rules(for agentID: String) -> [Rule] {
    let fitting = agents.filter { $0.key.hasSuffix("*") && agentID.hasPrefix($0.key.dropLast()) }
    return [standard] + fitting.sorted { $0.key.utf8.count < $1.key.utf8.count }.map(\.value)
      + (agents[agentID].map { [$0] } ?? [])
  }

  /// A definition's grants as far as they hold.
  public func held(_ grants: [Grant], by agentID: String) -> HeldGrants {
    let rules = rules(for: agentID)
    let allow = rules.compactMap(\.allow).last
    let denied = rules.flatMap(\.deny)
    var allowed = grants
    if let allow { allowed = grants.flatMap { grant in allow.compactMap { $0.intersection(grant) } } }
    var seen: Set<Grant> = []
    return HeldGrants(
      allowed: allowed.filter { grant in !denied.contains { $0.covers(grant) } && seen.insert(grant).inserted },
      denied: denied)
  }

  /// Which programs may come with this agent's definition and skills.
  public func inlineServers(of agentID: String) -> InlineServers {
    rules(for: agentID).compactMap(\.inlineServers).last ?? InlineServers()
  }
}
