import Agents
import Gateway
import Logging
import Observe
import Sandbox

/// The tool servers of one activation beside the hub: begun before the agent, ended after it.
final class ToolServers: Sendable {
  /// One of them: its front, and what stands behind it.
  struct Member: Sendable {
    var front: MCPServer
    var sidecar: Sidecar?
  }
  /// By name, which is the listener's too.
  let members: [String: Member]

  /// Begins to start them; nobody waits here. A server that doesn't come answers each request with that.
  init(_ launch: Launch, task: ActivationTask, services: RunnerServices) {
    var members: [String: Member] = [:]
    let audit = services.audit
    for (index, entry) in launch.granted.servers.enumerated() {
      let watch = SidecarWatch(
        activationID: task.activationID, agentID: launch.session.agentID, server: entry.name, logger: services.logger,
        metrics: services.metrics)
      let tools: ProxiedTools
      var sidecar: Sidecar?
      switch entry.place {
      case .program:
        let program = Sidecar(
          entry, id: "\(task.activationID.prefix(54))-mcp\(index + 1)",
          lifetime: launch.request.limits.timeoutSeconds.map { .seconds($0) }, tools: services.tools,
          time: services.time, watch: watch)
        sidecar = program
        tools = ProxiedTools(entry, held: launch.granted.held, failed: watch.gaveNoAnswer) {
          () async throws(DownstreamError) in
          try await program.client()
        }
      case .url(let url, let headers):
        let remote = Self.remote(entry, url, headers, services.tools, watch)
        tools = ProxiedTools(entry, held: launch.granted.held, failed: watch.gaveNoAnswer) {
          () async throws(DownstreamError) in
          try remote.get()
        }
      }
      let front = MCPServer(
        session: launch.session, tools: tools, audit: audit, originHosts: [gatewayAddress], now: services.time.now)
      members[entry.name] = Member(front: front, sidecar: sidecar)
    }
    self.members = members
  }

  private static func remote(
    _ entry: ServerEntry, _ url: String, _ headers: [String: SecretText], _ tools: ToolServices, _ watch: SidecarWatch
  ) -> Result<any Downstream, DownstreamError> {
    do throws(DownstreamError) {
      guard let transport = tools.transport else { throw .notStarted("there is no HTTP client here") }
      let secrets = try SidecarEnvironment.secrets(entry, tools.secrets)
      let filled = try SidecarEnvironment.fill(headers, secrets)
      return .success(
        HTTPDownstream(
          url: url, headers: filled.all.sorted { $0.key < $1.key }.map { (name: $0.key, value: $0.value) },
          transport: transport, callTimeout: entry.callTimeout, resultLimit: entry.resultLimit,
          redactor: Redactor(secrets.values)))
    } catch {
      watch.failed(error)
      return .failure(error)
    }
  }

  /// Ends all of them at once, and tells how each ended.
  /// - Parameter now: without the time to end by themselves.
  func stop(now: Bool = false) async -> [SidecarEnd] {
    await withTaskGroup(of: SidecarEnd?.self) { group in
      for member in members.values {
        guard let sidecar = member.sidecar else { continue }
        group.addTask { await sidecar.stop(now: now) }
      }
      var ends: [SidecarEnd] = []
      for await end in group { if let end { ends.append(end) } }
      return ends.sorted { $0.server < $1.server }
    }
  }
}
