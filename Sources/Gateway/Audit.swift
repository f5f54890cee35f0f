import JSON
import Logging
import Observe

/// One call of one tool, for the operator: what was called, not what was said (arguments are a hash).
public struct AuditRecord: Sendable, Hashable {
  /// How a call ended.
  public enum Status: String, Sendable, Hashable {
    case ok
    /// The tool ran or was checked, and the agent got a sentence that says what is wrong.
    case refused
    /// No such tool for this agent.
    case unknown
    /// The server gave no answer that could be handed on.
    case failed
  }
  /// The activation's UUID.
  public var activationID: String
  /// In whose name.
  public var agentID: String
  /// `hub`, or the name of another server.
  public var server: String
  /// As the agent wrote it, shortened.
  public var tool: String
  /// SHA-256 of the arguments as JSON with sorted keys, hexadecimal.
  public var argumentsHash: String
  /// How it ended.
  public var status: Status
  /// From the call's arrival to its result.
  public var milliseconds: Double
  /// Of the result as JSON.
  public var bytes: Int

  /// Makes a record.
  public init(
    activationID: String, agentID: String, server: String, tool: String, argumentsHash: String, status: Status,
    milliseconds: Double, bytes: Int
  ) {
    self.activationID = activationID
    self.agentID = agentID
    self.server = server
    self.tool = tool
    self.argumentsHash = argumentsHash
    self.status = status
    self.milliseconds = milliseconds
    self.bytes = bytes
  }
}

/// Where audit records go.
public struct Audit: Sendable {
  let write: @Sendable (AuditRecord) -> Void

  /// Hands each record to `write`.
  public init(_ write: @escaping @Sendable (AuditRecord) -> Void) { self.write = write }

  /// The same, and each record handed to somebody else too.
  public func alsoSeen(_ other: @escaping @Sendable (AuditRecord) -> Void) -> Audit {
    Audit { record in
      write(record)
      other(record)
    }
  }

  /// One log line and one count a call.
  public init(logger: Logger, metrics: Metrics) {
    self.init { record in
      logger.info(
        "tool call",
        metadata: [
          "activation_id": "\(record.activationID)", "agent_id": "\(record.agentID)", "server": "\(record.server)",
          "tool": "\(record.tool)", "arguments_sha256": "\(record.argumentsHash)",
          "status": "\(record.status.rawValue)",
          "duration_ms": "\(record.milliseconds)", "bytes": "\(record.bytes)",
        ])
      // No label for the tool: one that doesn't exist has a name of the agent's making.
      metrics.increment(
        "botburrow_mcp_calls_total",
        [("agent", record.agentID), ("server", record.server), ("status", record.status.rawValue)])
      metrics.observe("botburrow_mcp_call_duration_seconds", [("server", record.server)], record.milliseconds / 1000)
    }
  }
}
