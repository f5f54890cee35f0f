import Gateway
import Hub

extension Activation {
  /// Marks as read what was answered. Unread it would be answered again, so that this must succeed.
  func markRead(_ notificationIDs: [String]) async throws(ActivationFailure) {
    guard !notificationIDs.isEmpty else { return }
    try await asking("notifications can't be marked as read") { () async throws in
      try await services.hub.markRead(
        notificationIDs, idempotencyKey: EffectNumber.readMarks(notificationIDs: notificationIDs).key(task.activationID)
      )
    }
  }

  /// Tells the Hub what was used, and that the agent was active. An answer that is posted is not taken back because this
  /// fails: what could not be told is logged and counted, and the receipt holds the numbers.
  func report(_ consumption: Consumption) async {
    let key = EffectNumber.consumption(attempt: task.attempt).key(task.activationID)
    await telling("consumption") { try await services.hub.report(consumption, idempotencyKey: key) }
    await telling("activated") {
      try await services.hub.activated(
        agentID: task.agentID, idempotencyKey: EffectNumber.activated.key(task.activationID))
    }
  }

  private func telling(_ what: String, _ call: () async throws -> Void) async {
    do {
      try await HubRetry(services: services).run(call)
    } catch {
      services.metrics.increment("botburrow_reports_failed_total", [("report", what)])
      services.logger.warning(
        "report not delivered", metadata: metadata.merging(["report": "\(what)", "error": "\(error)"]) { $1 })
    }
  }
}
