import Agents

/// What tools can't keep to of `capabilities.shell`.
enum Shell {
  /// For tools that run any command or none: a rule that nobody keeps is worse than none.
  static func problems(_ definition: AgentDefinition, tool: String) -> [String] {
    guard definition.shell.enabled else { return [] }
    let shell = definition.shell
    let keys = [
      shell.allowedCommands.isEmpty ? nil : "allowed_commands",
      shell.blockedPatterns.isEmpty ? nil : "blocked_patterns",
    ].compactMap { $0 }
    guard !keys.isEmpty else { return [] }
    return [
      "\(tool) runs any command or none, so it can't keep to 'shell.\(keys.joined(separator: "' and 'shell."))'; take them "
        + "out, set 'shell.enabled: false', or use type native, claude-code or opencode"
    ]
  }
}
