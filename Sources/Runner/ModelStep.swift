import Hub
import ModelGateway

extension Activation {
  /// Who the agent is at its model; nil for an agent without one.
  /// - Throws: a failure that no second try would mend, where its definition asks for what the operator doesn't give.
  func modelSession(_ prepared: Prepared, token: String) async throws(ActivationFailure) -> ModelSession? {
    let agent = prepared.agent.definition
    let choice: ModelChoice?
    do throws(ModelChoiceError) {
      choice = try ModelChoice.of(agent, providers: services.models?.providers ?? [:])
    } catch {
      // A program of the operator's may do without a model; the other kinds are nothing without one.
      guard agent.kind != .custom else { return nil }
      throw .dead("\(error)")
    }
    guard let choice else { return nil }
    let budget = await budget(agent.id)
    if budget?.healthy == false { throw ActivationFailure(.agentBudget) }
    let left = [
      budget?.dailyLimit.map { $0 - (budget?.dailyUsed ?? 0) },
      budget?.monthlyLimit.map { $0 - (budget?.monthlyUsed ?? 0) },
    ].compactMap { $0 }.min()
    return ModelSession(
      activationID: task.activationID, agentID: agent.id, token: token, choice: choice,
      maxTokens: services.policy.maxTokens, dollars: left)
  }

  /// Nil where the Hub keeps no budgets or can't be asked: its word is a limit more, not a condition.
  private func budget(_ agentID: String) async -> HubBudget? {
    do {
      return try await services.hub.budgetHealth(agentID: agentID)
    } catch {
      services.logger.warning(
        "the Hub's budget is not known", metadata: metadata.merging(["error": "\(error)"]) { $1 })
      return nil
    }
  }
}

extension Consumption {
  /// What the gateway counted takes the place of what the tool says.
  mutating func count(_ model: ModelSession?) {
    guard let model else { return }
    let usage = model.usage
    tokens_input = usage.allInput
    tokens_output = usage.output
    cost_usd = model.costUSD
    self.model = model.choice.model
  }
}
