import Gateway
import Logging
import Observe

/// Writes down what becomes of one tool server of one activation.
struct SidecarWatch: Sendable {
  let activationID: String
  let agentID: String
  let server: String
  let logger: Logger
  let metrics: Metrics

  private var metadata: Logger.Metadata {
    ["activation_id": "\(activationID)", "agent_id": "\(agentID)", "server": "\(server)"]
  }

  func started(after time: Duration) {
    metrics.observe("botburrow_mcp_server_start_seconds", [("server", server)], time / .seconds(1))
    logger.debug("tool server started", metadata: metadata)
  }

  func failed(_ error: any Error) {
    metrics.increment("botburrow_mcp_servers_failed_total", [("server", server)])
    logger.error("tool server is not there", metadata: metadata.merging(["error": "\(error)"]) { $1 })
  }

  func gaveNoAnswer(_ error: DownstreamError) {
    logger.warning("tool server gave no answer", metadata: metadata.merging(["error": "\(error)"]) { $1 })
  }

  func ended(_ cause: String) {
    logger.debug("tool server ended", metadata: metadata.merging(["end": "\(cause)"]) { $1 })
  }

  func said(_ line: String) {
    logger.info("tool server says", metadata: metadata.merging(["line": "\(line.prefix(1000))"]) { $1 })
  }

  /// One connection through its proxy, or a refusal.
  func proxied(_ record: ProxyRecord) {
    metrics.increment("botburrow_proxy_connections_total", [("server", server), ("result", record.result)])
    metrics.increment(
      "botburrow_proxy_bytes_total", [("server", server), ("direction", "sent")], by: Double(record.sent))
    metrics.increment(
      "botburrow_proxy_bytes_total", [("server", server), ("direction", "received")], by: Double(record.received))
    guard record.isTold else { return }
    var line = metadata
    line["host"] = record.target.map { "\($0)" }
    line["address"] = record.address.map { "\($0)" }
    line["result"] = "\(record.result)"
    line["sent"] = "\(record.sent)"
    line["received"] = "\(record.received)"
    line["duration_ms"] = "\(record.milliseconds)"
    logger.info("proxy connection", metadata: line)
  }
}
