import Agents
import Configuration
import HTTPClient
import Observe
import Synchronization

/// The operator's providers, as all activations of one runner share them: connections, breakers, calls under way.
public final class ModelProviders: Sendable {
  private struct Load {
    var breaker = CircuitBreaker()
    var underWay = 0
  }
  /// By name.
  public let providers: [String: ModelProvider]
  let client: HTTPClient
  let audit: ModelAudit
  let sleep: @Sendable (Duration) async throws -> Void
  private let metrics: Metrics?
  private let loads = Mutex<[String: Load]>([:])
  private let start = ContinuousClock.now

  /// - Parameters:
  ///   - audit: gets one record a call.
  ///   - metrics: shows which providers are left alone.
  ///   - sleep: waits between two attempts.
  public init(
    _ providers: [String: ModelProvider], audit: ModelAudit, metrics: Metrics? = nil,
    sleep: @escaping @Sendable (Duration) async throws -> Void = { try await Task.sleep(for: $0) }
  ) {
    self.providers = providers
    self.audit = audit
    self.metrics = metrics
    self.sleep = sleep
    client = HTTPClient(userAgent: "botburrow-model-gateway", connectTimeout: .seconds(10))
  }

  /// The provider, key and models of an agent; nil for one without a model.
  public func choice(for agent: AgentDefinition) throws(ModelChoiceError) -> ModelChoice? {
    try ModelChoice.of(agent, providers: providers)
  }

  /// What became of a call that wants to be made.
  enum Entrance: Sendable {
    /// It has a place, which must be given back with `leave`.
    case admitted(CircuitBreaker.Pass)
    /// What to say instead.
    case denied(Denial)
  }

  /// A place for one call.
  func enter(_ provider: ModelProvider) -> Entrance {
    let now = ContinuousClock.now - start
    return loads.withLock { loads in
      var load = loads[provider.name, default: Load()]
      defer { loads[provider.name] = load }
      guard load.underWay < provider.maxConcurrent else { return .denied(.tooMany) }
      switch load.breaker.admit(at: now) {
      case .rests(let wait): return .denied(.resting(seconds: Int(wait.components.seconds) + 1))
      case .passes(let pass):
        load.underWay += 1
        return .admitted(pass)
      }
    }
  }

  /// Gives a place back. `success` is what the call tells of the provider; nil for nothing.
  func leave(_ provider: ModelProvider, _ pass: CircuitBreaker.Pass, success: Bool?) {
    let now = ContinuousClock.now - start
    let isOpen = loads.withLock { loads in
      var load = loads[provider.name, default: Load()]
      load.underWay -= 1
      if let success {
        load.breaker.record(pass, success: success, at: now)
      } else {
        load.breaker.forget(pass, at: now)
      }
      loads[provider.name] = load
      return load.breaker.isOpen
    }
    metrics?.set("botburrow_model_provider_resting", [("provider", provider.name)], to: isOpen ? 1 : 0)
  }
}
