import Logging
import Observe
import Sandbox

/// What the supervisor's events become: log records and series.
struct SupervisorJournal: Sendable {
  let logger = Logger(label: "supervisor")
  let metrics = Metrics(extra: [
    MetricDescription(
      "botburrow_supervisor_troubles_total", .counter, "Things that did not go right and were got over; see the log."),
    MetricDescription(
      "botburrow_sandbox_denied_connections_total", .counter,
      "Packets of sandboxes to where they may not (a refused connection is one); receipts say to where.",
      labels: ["profile"]),
  ])

  func record(_ event: Supervisor.Event) {
    switch event {
    case .started(let id, let profile, let seconds):
      metrics.observe("botburrow_sandbox_start_seconds", [("profile", profile)], seconds)
      logger.debug("sandbox started", metadata: ["activation_id": "\(id)", "profile": "\(profile)"])
    case .ended(let receipt, let seconds):
      let cause = receipt.json["exit"]?["cause"]?.string ?? "unknown"
      let profile = receipt.json["profile"]?.string ?? "unknown"
      metrics.increment("botburrow_sandbox_ends_total", [("profile", profile), ("cause", cause)])
      logger.info(
        "sandbox ended",
        metadata: [
          "activation_id": "\(receipt.activationID)", "profile": "\(profile)",
          "exit": "\(receipt.exit)", "duration": "\(seconds)",
        ])
      if let denied = DeniedSummary(receipt: receipt.json) {
        metrics.increment(
          "botburrow_sandbox_denied_connections_total", [("profile", profile)], by: Double(denied.packets))
        logger.warning(
          "sandbox tried to reach what it may not",
          metadata: [
            "activation_id": "\(receipt.activationID)", "profile": "\(profile)", "packets": "\(denied.packets)",
            "destinations": "\(denied.destinations)", "denied": "\(denied.text)",
          ])
      }
    case .refused(let id, let reason):
      metrics.increment("botburrow_sandbox_denials_total", [("profile", "-"), ("reason", "refused")])
      logger.warning("sandbox refused", metadata: ["activation_id": "\(id ?? "-")", "reason": "\(reason)"])
    case .trouble(let text):
      metrics.increment("botburrow_supervisor_troubles_total")
      logger.error("supervisor trouble", metadata: ["problem": "\(text)"])
    }
  }
}
