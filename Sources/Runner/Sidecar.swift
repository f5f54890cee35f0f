import Agents
import Gateway
import Glibc
import HTTPServer
import JSON
import Linux
import Sandbox
import Synchronization

/// How a sidecar ended.
struct SidecarEnd: Sendable {
  var server: String
  /// In words.
  var cause: String
  /// Its sandbox's, where there was one to its end.
  var receipt: JSONValue?

  /// As the activation's receipt shows it.
  var json: JSONValue {
    var members: [String: JSONValue] = ["server": .string(server), "end": .string(cause)]
    members["sandbox"] = receipt
    return .object(members)
  }
}

/// One tool server of one activation: a program in a sandbox of its own, which speaks MCP on its standard streams, with a proxy
/// as its only way out.
final class Sidecar: Sendable {
  private struct Running: Sendable {
    var sandbox: AttachedSandbox
    var end: Task<Receipt, any Error>
    var hasEnded: Latch
  }
  private let entry: ServerEntry
  private let id: String
  private let lifetime: Duration?
  private let tools: ToolServices
  private let time: RunnerTime
  private let watch: SidecarWatch
  private let running = Mutex<Running?>(nil)
  private let proxy = Mutex<ForwardProxy?>(nil)
  private let started = Mutex<Task<StdioClient, any Error>?>(nil)

  /// Begins to start it.
  /// - Parameters:
  ///   - id: names its sandbox.
  ///   - lifetime: the agent's; it may live a little longer.
  init(
    _ entry: ServerEntry, id: String, lifetime: Duration?, tools: ToolServices, time: RunnerTime, watch: SidecarWatch
  ) {
    self.entry = entry
    self.id = id
    self.lifetime = lifetime
    self.tools = tools
    self.time = time
    self.watch = watch
    let task = Task { try await self.start() }
    started.withLock { $0 = task }
  }

  /// The server, once it is there.
  func client() async throws(DownstreamError) -> any Downstream {
    guard let task = started.withLock({ $0 }) else { throw .ended }
    do {
      return try await task.value
    } catch let error as DownstreamError {
      throw error
    } catch {
      throw .notStarted("\(error)")
    }
  }

  private func start() async throws -> StdioClient {
    do {
      let began = time.now()
      let client = try await open()
      watch.started(after: began.duration(to: time.now()))
      return client
    } catch {
      watch.failed(error)
      throw error
    }
  }

  private func open() async throws -> StdioClient {
    guard case .program(let command, let arguments, let environment) = entry.place, let attacher = tools.attacher else {
      throw DownstreamError.notStarted("there is no supervisor here")
    }
    let secrets = try SidecarEnvironment.secrets(entry, tools.secrets)
    let filled = try SidecarEnvironment.fill(environment, secrets)
    var request = SandboxRequest(
      activationID: id, profile: entry.profile ?? tools.profile, arguments: [command] + arguments,
      environment: filled.plain, hasSecrets: !filled.secret.isEmpty)
    if !entry.hosts.isEmpty {
      request.listeners = [.init(name: "proxy", port: tools.proxyPort)]
      request.environment.merge(SidecarEnvironment.proxy("http://\(gatewayAddress):\(tools.proxyPort)")) { own, _ in own
      }
    }
    request.limits.timeoutSeconds = lifetime.map { ($0 + .seconds(30)) / .seconds(1) }
    let sandbox = try await attacher.attach(request, files: [], secrets: filled.secret) { listeners in
      guard let descriptor = listeners["proxy"] else { return }
      try await self.serveProxy(descriptor)
    }
    let latch = Latch()
    let end = Task {
      defer { latch.open() }
      return try await sandbox.receipt()
    }
    running.withLock { $0 = Running(sandbox: sandbox, end: end, hasEnded: latch) }
    var options = StdioClient.Options()
    options.startTimeout = entry.startTimeout
    options.callTimeout = entry.callTimeout
    options.resultLimit = entry.resultLimit
    options.redactor = Redactor(secrets.values)
    options.onErrorLine = { [watch] in watch.said($0) }
    do throws(DownstreamError) {
      return try await StdioClient.start(
        input: sandbox.streams.input.release(), output: sandbox.streams.output.release(),
        errors: sandbox.streams.errors.release(), options: options)
    } catch {
      // Its sandbox knows better than its silence why it isn't there.
      await first(of: { await latch.wait() }, { try? await self.time.sleep(.milliseconds(200)) })
      if latch.isOpen, let receipt = try? await end.value {
        throw DownstreamError.notStarted("'\(command)' ended before it answered: \(receipt.exit)")
      }
      throw error
    }
  }

  private func serveProxy(_ descriptor: Int32) async throws {
    var options = tools.proxy
    options.onRecord = { [watch] in watch.proxied($0) }
    let policy = ProxyPolicy(hosts: entry.hosts, privateAddresses: entry.privateAddresses)
    let (started, _) = try await ForwardProxy.start(
      at: .listener(descriptor: descriptor), policy: policy, options: options)
    proxy.withLock { $0 = started }
  }

  /// Ends it: the end of its input, then TERM, then KILL, with a wait after each. Nil where it was never there.
  /// - Parameter now: KILL at once.
  func stop(now: Bool = false) async -> SidecarEnd? {
    let task = started.withLock { $0 }
    task?.cancel()
    // A start that is under way comes to its end, so that nothing it made is left.
    let client = try? await task?.value
    let end = await end(client, now: now)
    await proxy.withLock { $0 }?.stop()
    return end
  }

  private func end(_ client: StdioClient?, now: Bool) async -> SidecarEnd? {
    guard let running = running.withLock({ $0 }) else { return nil }
    client?.closeInput()
    if now { running.sandbox.signal(SIGKILL) }
    for signal in now ? [0] : [SIGTERM, SIGKILL, 0] {
      let grace = tools.endGrace
      await first(of: { await running.hasEnded.wait() }, { try? await self.time.sleep(grace) })
      if running.hasEnded.isOpen { break }
      if signal == 0 { running.sandbox.hangUp() } else { running.sandbox.signal(signal) }
    }
    client?.close()
    let end: SidecarEnd
    do {
      let receipt = try await running.end.value
      end = SidecarEnd(server: entry.name, cause: receipt.exit.description, receipt: receipt.json)
    } catch {
      end = SidecarEnd(server: entry.name, cause: "\(error)", receipt: nil)
    }
    watch.ended(end.cause)
    return end
  }
}
