import Agents
import Configuration

/// The provider, the key and the models of one agent: its definition's wishes within what the operator configured. Pure.
public struct ModelChoice: Sendable, Hashable {
  /// Who serves the model.
  public var provider: ModelProvider
  /// Secret; nil for a provider that wants none.
  public var key: String?
  /// The agent's own model.
  public var model: String
  /// Tokens of output where a request doesn't say; the definition's `brain.max_tokens`.
  public var usualOutput: Int

  /// Puts a choice together.
  public init(provider: ModelProvider, key: String?, model: String, usualOutput: Int) {
    self.provider = provider
    self.key = key
    self.model = model
    self.usualOutput = usualOutput
  }

  /// Nil for an agent that has no model: `brain.model: none`.
  ///
  /// A definition names a provider of the operator's, by name or by its address. It can't make one up: definitions are
  /// written by more people than the configuration, and a key that goes where a definition says is a key that is given away.
  public static func of(
    _ agent: AgentDefinition, providers: [String: ModelProvider]
  ) throws(ModelChoiceError) -> ModelChoice? {
    let brain = agent.brain
    guard brain.model != "none" else { return nil }
    let provider: ModelProvider
    if let base = brain.apiBase.map(withoutSlash) {
      let fitting = providers.values.filter { $0.apiBase == base }.sorted { $0.name < $1.name }
      guard let found = fitting.first(where: { $0.name == brain.provider.rawValue }) ?? fitting.first else {
        throw .unknownBase(agentID: agent.id, base: base)
      }
      provider = found
    } else {
      guard let found = providers[brain.provider.rawValue] else {
        throw .noProvider(agentID: agent.id, name: brain.provider.rawValue, configured: providers.keys.sorted())
      }
      provider = found
    }
    guard provider.permits(brain.model) else {
      throw .modelNotPermitted(agentID: agent.id, model: brain.model, provider: provider.name)
    }
    var key = provider.key
    if let variable = brain.apiKeyEnvironment {
      if let own = provider.keys[variable] {
        key = own
      } else if variable != provider.usualVariable {
        throw .unknownKey(agentID: agent.id, variable: variable, provider: provider.name)
      }
    }
    return ModelChoice(provider: provider, key: key, model: brain.model, usualOutput: brain.maxTokens ?? 4096)
  }

  /// Whether the agent may call this model.
  func permits(_ called: String) -> Bool {
    called == model || provider.sideModels.contains { ModelProvider.matches(called, $0) }
  }

  private static func withoutSlash(_ url: String) -> String { url.hasSuffix("/") ? String(url.dropLast()) : url }
}

/// An agent whose model can't be reached, in words that say what to do.
public enum ModelChoiceError: Error, Sendable, Hashable, CustomStringConvertible {
  /// `brain.provider` is not configured.
  case noProvider(agentID: String, name: String, configured: [String])
  /// No provider has `brain.api_base`.
  case unknownBase(agentID: String, base: String)
  /// The operator's list doesn't have `brain.model`.
  case modelNotPermitted(agentID: String, model: String, provider: String)
  /// The operator's provider has no key of that variable's name.
  case unknownKey(agentID: String, variable: String, provider: String)

  /// One sentence.
  public var description: String {
    switch self {
    case .noProvider(let agentID, let name, let configured):
      "agent '\(agentID)' thinks with provider '\(name)', which isn't configured; add 'providers.\(name)' to the "
        + "configuration (there: \(configured.isEmpty ? "none" : configured.joined(separator: ", ")))"
    case .unknownBase(let agentID, let base):
      "agent '\(agentID)' has 'brain.api_base: \(base)', which no configured provider has; add a provider with that "
        + "'api_base' to 'providers', or take it out of the definition"
    case .modelNotPermitted(let agentID, let model, let provider):
      "agent '\(agentID)' thinks with model '\(model)', which 'providers.\(provider).models' doesn't list; add it there"
    case .unknownKey(let agentID, let variable, let provider):
      "agent '\(agentID)' asks for the key \(variable), which provider '\(provider)' doesn't have; add "
        + "'\(variable): ${\(variable)}' to 'providers.\(provider).keys'"
    }
  }
}
