import Configuration
import Logging
import Observe

/// One call of a model, for the operator: how much, not what was said.
public struct ModelCallRecord: Sendable, Hashable {
  /// How a call ended.
  public enum Outcome: String, Sendable, Hashable, CaseIterable {
    /// The provider's answer passed, whole.
    case ok
    /// The budget said no.
    case budget
    /// The gateway said no for another reason: token, route, model, body, too many at once.
    case refused
    /// The provider answered with an error status, or told of one in its stream.
    case upstream
    /// The provider's answer broke off.
    case cut
    /// The provider could not be reached, or said nothing in time.
    case unreachable
    /// The provider is left alone for a while (circuit breaker).
    case resting
    /// The agent went away before the answer's end.
    case cancelled
  }
  /// The activation's UUID.
  public var activationID: String
  /// In whose name.
  public var agentID: String
  /// The provider's name.
  public var provider: String
  /// As the request names it, shortened.
  public var model: String
  /// The request's path, shortened.
  public var path: String
  /// How it ended.
  public var outcome: Outcome
  /// What the agent was answered; of an error that was told in a stream, the status that it stands for.
  public var status: Int
  /// What was counted.
  public var usage: ModelUsage
  /// The provider never told its final counts.
  public var isEstimate = false
  /// By the price table; 0 where it has no price for the model.
  public var costUSD = 0.0
  /// From the request's arrival to the answer's last byte.
  public var milliseconds = 0.0
  /// Until the answer's head; nil where there was none.
  public var firstByteMilliseconds: Double?
  /// Of the request's body.
  public var requestBytes: Int
  /// Of the answer's body.
  public var responseBytes = 0
  /// How often the gateway tried again.
  public var retries = 0
  /// Where `outcome` is `budget`: it is the agent's that is used up, not the activation's.
  public var isAgentsBudget = false
  /// How long the provider asked to wait, in seconds.
  public var retryAfter: Double?

  init(
    activationID: String, agentID: String, provider: String, model: String, path: String, outcome: Outcome,
    status: Int, usage: ModelUsage = ModelUsage(), requestBytes: Int
  ) {
    self.activationID = activationID
    self.agentID = agentID
    self.provider = provider
    self.model = String(model.prefix(100))
    self.path = String(path.prefix(100))
    self.outcome = outcome
    self.status = status
    self.usage = usage
    self.requestBytes = requestBytes
  }
}

/// Where records of calls go.
public struct ModelAudit: Sendable {
  let write: @Sendable (ModelCallRecord) -> Void

  /// Hands each record to `write`.
  public init(_ write: @escaping @Sendable (ModelCallRecord) -> Void) { self.write = write }

  /// One log line and a few counts a call.
  public init(logger: Logger, metrics: Metrics) {
    self.init { record in
      logger.info("model call", metadata: record.metadata)
      // No label for the model: one that doesn't exist has a name of the agent's making.
      metrics.increment(
        "botburrow_model_calls_total",
        [("agent", record.agentID), ("provider", record.provider), ("outcome", record.outcome.rawValue)])
      metrics.observe(
        "botburrow_model_call_duration_seconds", [("provider", record.provider)], record.milliseconds / 1000)
      if let first = record.firstByteMilliseconds {
        metrics.observe("botburrow_model_first_byte_seconds", [("provider", record.provider)], first / 1000)
      }
      if record.costUSD > 0 {
        metrics.increment("botburrow_model_cost_usd_total", [("agent", record.agentID)], by: record.costUSD)
      }
      if record.isEstimate {
        metrics.increment("botburrow_model_estimates_total", [("provider", record.provider)])
      }
      if record.retries > 0 {
        metrics.increment("botburrow_model_retries_total", [("provider", record.provider)], by: Double(record.retries))
      }
    }
  }

  /// Both.
  public func and(_ other: @escaping @Sendable (ModelCallRecord) -> Void) -> ModelAudit {
    ModelAudit { [write] record in
      write(record)
      other(record)
    }
  }
}

extension ModelCallRecord {
  /// As it stands in the log.
  var metadata: Logger.Metadata {
    var line: Logger.Metadata = [
      "activation_id": "\(activationID)", "agent_id": "\(agentID)", "provider": "\(provider)", "model": "\(model)",
      "path": "\(path)", "outcome": "\(outcome.rawValue)", "status": "\(status)",
      "tokens": ["input": .stringConvertible(usage.allInput), "output": .stringConvertible(usage.output)],
      "cache_read": .stringConvertible(usage.cacheRead), "cache_write": .stringConvertible(usage.cacheWrite),
      "cost_usd": .stringConvertible(costUSD), "duration_ms": .stringConvertible(milliseconds),
      "request_bytes": .stringConvertible(requestBytes), "bytes": .stringConvertible(responseBytes),
    ]
    if isEstimate { line["estimated"] = "true" }
    if retries > 0 { line["retries"] = .stringConvertible(retries) }
    return line
  }
}
