import Agents
import Gateway
import HTTPClient
import Logging
import Sandbox

/// What the runner needs for tool servers beside the built-in one.
public struct ToolServices: Sendable {
  /// Which there are, and who may use them.
  public var files = OperatorFiles()
  /// Their credentials.
  public var secrets = SecretStore(directories: [])
  /// Starts those that are programs; nil where there is no supervisor.
  public var attacher: (any SandboxAttacher)?
  /// Reaches those that have a URL.
  public var transport: (any HTTPTransport)?
  /// The profile of programs that name none.
  public var profile = "sidecar"
  /// The port of the proxy inside a sidecar's sandbox.
  public var proxyPort: UInt16 = 3128
  /// Bounds of the proxy; what tests replace to look names up differently.
  public var proxy = ForwardProxy.Options()
  /// How long a program has to end after each of: the end of its input, TERM, KILL.
  public var endGrace: Duration = .seconds(2)

  /// No servers.
  public init() {}
}

extension Activation {
  /// Says which servers an agent asked for and doesn't have: it runs without them.
  func tell(_ missing: [GrantedServers.Missing]) {
    for server in missing {
      services.metrics.increment("botburrow_mcp_servers_missing_total", [("agent", task.agentID)])
      services.logger.warning(
        "tool server is not there for this agent",
        metadata: metadata.merging(["server": "\(server.name)", "reason": "\(server.reason)"]) { $1 })
    }
  }
}
