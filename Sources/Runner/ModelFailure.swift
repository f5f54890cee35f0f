import ModelGateway

extension ActivationFailure {
  /// What the gateway's word on a model means for the work. Pure.
  ///
  /// - Never again by itself: the operator's key or account, a model that isn't there, a budget of the activation that
  ///   another run would use up again.
  /// - Later, however often: a provider that is overloaded, away or resting, and an agent whose budget comes back.
  /// - Again, counted: an error or a cut of another kind.
  init(_ verdict: ModelVerdict) {
    switch verdict {
    case .activationBudget:
      self.init(
        "activation budget exhausted; raise 'activation.max_tokens'", status: .budget, remedy: .dead)
    case .agentBudget:
      self.init(
        "agent budget exhausted; the Hub says when it comes back", status: .budget, remedy: .deferred(.seconds(900)))
    case .modelNotPermitted(let model):
      self = .dead("the agent called model '\(model)', which is neither its own nor in 'side_models' of its provider")
    case .unknownModel(let model):
      self = .dead("the provider has no model '\(model)'; correct 'brain.model'")
    case .account(let status):
      self = .dead(
        "the model provider refused the operator's key or account (status \(status)); check the provider's key")
    case .overloaded(let status, let retryAfter):
      self.init(
        "the model provider is overloaded (status \(status))", remedy: .deferred(Self.wait(retryAfter)))
    case .unreachable:
      self.init("the model provider can't be reached", remedy: .deferred(Self.wait(nil)))
    case .resting(let retryAfter):
      self.init(
        "the model provider failed too often and is left alone for a while", remedy: .deferred(Self.wait(retryAfter)))
    case .failed(let status):
      self.init("the model provider answered with an error (status \(status))")
    case .cut:
      self.init("the model provider's answer broke off")
    }
  }

  /// As long as the provider asked, within bounds.
  private static func wait(_ seconds: Double?) -> Duration { .seconds(min(max(seconds ?? 30, 1), 3600)) }
}
