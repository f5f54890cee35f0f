import ArgumentParser
import Configuration
import Glibc
import HTTPClient
import JSON
import Linux
import Sandbox
import Work

/// The processes of `botburrow up`, and the directory that they share.
final class LocalSystem {
  struct Interrupted: Error {}

  private let options: UpCommand
  private let settings: Configuration
  private let directory: String
  private let isTemporary: Bool
  private let account: (uid: uid_t, gid: gid_t)
  private let apiKey: String
  private var hubListener: (descriptor: Descriptor, port: Int)?
  private var children: [ChildProcess] = []

  init(_ options: UpCommand) throws {
    self.options = options
    settings = try options.settings.load()
    account = try Accounts.user(options.user ?? (getpwnam("botburrow") == nil ? "nobody" : "botburrow"))
    if account.uid == 0 {
      throw ValidationError("--user root: everything but the supervisor must run as an ordinary user")
    }
    isTemporary = options.data == nil
    directory = options.data ?? "/run/botburrow-up-\(getpid())"
    apiKey = Places.variable("HUB_API_KEY") ?? freshKey()
    try makeDirectories()
    if settings.hub == nil { try listenForHub() }
  }

  private func makeDirectories() throws {
    try makeDirectory(directory, owner: (0, 0), mode: 0o755, followsLink: true)
    for name in ["redis", "hub", "receipts"] { try makeDirectory("\(directory)/\(name)", owner: account, mode: 0o750) }
    // Sockets of dead processes, perhaps of another user's, who alone could replace them.
    try removeTree("\(directory)/metrics")
    // Root's supervisor has a socket there as well. Sticky: the others can't put something else in its place.
    try makeDirectory("\(directory)/metrics", owner: (0, account.gid), mode: 0o1770)
  }

  /// We hold the listener, so the address stays ours while the Hub is started again.
  private func listenForHub() throws {
    guard case .tcp(let host, let port)? = ListenAddress(options.hubListen), let address = IPv4Address(host) else {
      throw ValidationError("--hub-listen '\(options.hubListen)' must be an IPv4 address and a port")
    }
    hubListener = try TCPListener.open(address, port: UInt16(port))
    if !options.hubOpen {
      let key = try Descriptor.replacing("\(directory)/hub-api-key", mode: 0o600)
      try key.write((apiKey + "\n").utf8)
    }
  }

  private var socket: String { "\(directory)/supervisor.sock" }
  private var receipts: String { options.settings.receipts ?? "\(directory)/receipts" }
  private var hubURL: String {
    settings.hub?.url ?? "http://\(options.hubListen.split(separator: ":").first ?? ""):\(hubListener?.port ?? 0)"
  }
  private var redisURL: String { settings.redisURL ?? "unix://\(directory)/redis/redis.sock" }
  /// The same without user and password where it is the configuration's.
  private func shownRedisURL() -> String {
    settings.redisURL == nil ? redisURL : ((try? settings.makeRedisURL(for: "up"))?.endpoint ?? "")
  }

  /// Starts everything in the order in which one needs the other, and waits until each answers.
  func start(_ signals: SignalWatch) throws {
    if settings.redisURL == nil {
      try begin(redis())
      try awaitSocket("\(directory)/redis/redis.sock", of: "redis", signals)
    }
    if hubListener != nil { try begin(hub()) }
    try begin(supervisor())
    try awaitSocket(socket, of: "supervisor", signals)
    try begin(daemon("coordinator", ["coordinator"]))
    for pool in Pool.allCases where settings.runners.isEmpty || settings.runners[pool.rawValue] != nil {
      try begin(daemon("runner-\(pool.rawValue)", ["runner", "--pool", pool.rawValue, "--grace", "5"]))
    }
    // The Hub's listener is ours and takes connections already.
    for child in children where child.name != "redis" && child.name != "hub" {
      try awaitSocket("\(directory)/metrics/\(child.name).sock", of: child.name, signals)
    }
  }

  // MARK: What is run

  private func redis() -> ChildProcess {
    let place = "\(directory)/redis"
    // setpriv(1) drops root before redis-server's first instruction; the death signal survives, as no user changes after.
    let arguments = [
      "/usr/bin/setpriv", "--reuid=\(account.uid)", "--regid=\(account.gid)", "--clear-groups", "--bounding-set=-all",
      "--inh-caps=-all", "--no-new-privs", "--pdeathsig=TERM", "--", "/usr/bin/redis-server", "--port", "0",
      "--unixsocket", "\(place)/redis.sock", "--unixsocketperm", "700", "--dir", place, "--appendonly", "yes",
      "--appendfsync", "everysec", "--save", "", "--loglevel", "warning", "--daemonize", "no",
    ]
    return ChildProcess(name: "redis", arguments: arguments, environment: ["PATH=/usr/bin:/bin"])
  }

  private func hub() -> ChildProcess {
    var arguments = [
      Places.executable, "hub", "--listen", hubURL.replacingScheme, "--listen-descriptor", "3", "--journal",
      "\(directory)/hub/journal.jsonl",
    ]
    if options.hubOpen { arguments.append("--open") }
    for agent in agentIDs() { arguments += ["--agent", agent] }
    return ChildProcess(
      name: "hub", arguments: arguments + asUser, environment: ["HUB_API_KEY=\(apiKey)"],
      extraDescriptor: hubListener?.descriptor)
  }

  private func supervisor() throws -> ChildProcess {
    var arguments = [
      Places.executable, "supervisor", "--socket", socket, "--allow-user", "\(account.uid)", "--cgroup",
      try policy().rawValue, "--metrics", "unix:\(directory)/metrics/supervisor.sock", "--log-level", options.logLevel,
      "--workspaces", "\(directory)/workspaces", "--die-with", "\(getpid())",
    ]
    if let profiles = options.profiles { arguments += ["--profiles", profiles] }
    let environment = ["BOTBURROW_INIT", "BOTBURROW_AGENT", "BOTBURROW_PROFILES"].compactMap { name in
      Places.variable(name).map { "\(name)=\($0)" }
    }
    return ChildProcess(name: "supervisor", arguments: arguments, environment: environment)
  }

  private func daemon(_ name: String, _ command: [String]) -> ChildProcess {
    var arguments = [Places.executable] + command
    if let config = options.settings.config { arguments += ["--config", config] }
    if let agents = options.settings.agents { arguments += ["--agents", agents] }
    if let interval = options.settings.pollInterval { arguments += ["--poll-interval", interval] }
    // The file's own URL may hold a password, and arguments can be read by everybody: each daemon finds it in the file.
    if settings.redisURL == nil || options.settings.redis != nil { arguments += ["--redis", redisURL] }
    arguments += ["--hub", hubURL, "--socket", socket, "--receipts", receipts]
    arguments += ["--metrics", "unix:\(directory)/metrics/\(name).sock"] + asUser
    // The file's ${NAME}s are resolved in each daemon, so each needs our environment; the Hub's key is in it too.
    var environment = SettingsOptions.environment()
    environment["HUB_API_KEY"] = settings.hub?.apiKey ?? apiKey
    return ChildProcess(name: name, arguments: arguments, environment: environment.map { "\($0.key)=\($0.value)" })
  }

  private var asUser: [String] {
    ["--run-as", "\(account.uid)", "--die-with", "\(getpid())", "--log-level", options.logLevel]
  }

  /// Agents that the local Hub knows from the start; a definition that can't be listed is the coordinator's to report.
  private func agentIDs() -> [String] {
    guard let source = try? settings.makeDefinitions(for: "up", HTTPClient(userAgent: "botburrow-up")) else {
      return []
    }
    return (try? blocking { try await source.list() }) ?? []
  }

  /// Best effort only where there is nothing better to have.
  private func policy() throws -> Profile.ControlGroupPolicy {
    if let asked = options.cgroup { return asked }
    guard let controllers = try? ControlGroup.current().controllers() else { return .bestEffort }
    return controllers.isSuperset(of: Supervisor.neededControllers) ? .required : .bestEffort
  }

  // MARK: Keeping them running

  private func begin(_ child: ChildProcess) throws {
    try child.start()
    children.append(child)
  }

  /// Starts again what died, until a signal says stop.
  func watch(_ signals: SignalWatch) throws {
    while true {
      let wait = children.compactMap(\.restartAt).min().map { max(.zero, $0 - ContinuousClock.now) }
      if try waitReadable([signals.descriptor], timeout: wait)[0] {
        if try signals.next() != SIGCHLD { return }
      }
      try revive()
    }
  }

  private func revive() throws {
    for child in children {
      if let end = try child.ended() {
        complain("\(child.name) ended (\(end)); it is started again in \(child.scheduleRestart().seconds) s")
      }
      guard let time = child.restartAt, time <= ContinuousClock.now else { continue }
      do { try child.start() } catch {
        // Out of memory or processes, most likely: no reason to end what still runs.
        complain("\(child.name): \(error); it is tried again in \(child.scheduleRestart().seconds) s")
      }
    }
  }

  /// Waits until something answers at a socket. A signal, or the child's end, ends the wait.
  private func awaitSocket(_ path: String, of name: String, _ signals: SignalWatch) throws {
    let deadline = ContinuousClock.now + .seconds(20)
    while !UnixSocket.accepts(path) {
      if try waitReadable([signals.descriptor], timeout: .milliseconds(20))[0], try signals.next() != SIGCHLD {
        throw Interrupted()
      }
      if let child = children.first(where: { $0.name == name }), let end = try child.ended() {
        throw ValidationError("\(name) did not start: it ended (\(end)); its reason stands above")
      }
      if ContinuousClock.now > deadline { throw ValidationError("\(name) did not answer at \(path) within 20 s") }
    }
  }

  /// What the operator wants to know now; the same for programs in up.json.
  var summary: String {
    let state: JSONValue = [
      "hub": .string(hubURL), "redis": .string(shownRedisURL()), "supervisor": .string(socket),
      "receipts": .string(receipts),
      "directory": .string(directory), "pid": .integer(Int64(getpid())),
    ]
    do {
      let file = try Descriptor.replacing("\(directory)/up.json", mode: 0o644)
      try file.write(JSON.encode(state, pretty: true))
    } catch { complain("\(error)") }
    let key = hubListener == nil || options.hubOpen ? "" : "\n  key       \(directory)/hub-api-key"
    return """
      botburrow is up; Ctrl-C ends it
        hub       \(hubURL)\(key)
        redis     \(shownRedisURL())
        sandboxes \(socket)
        receipts  \(receipts)
        metrics   \(directory)/metrics/*.sock (curl --unix-socket)
      """
  }

  /// Ends everything, those first that make work for the others.
  func tearDown() {
    for child in children.reversed() where child.name != "redis" && child.name != "supervisor" { child.terminate() }
    for child in children.reversed() where child.name != "redis" && child.name != "supervisor" {
      child.awaitEnd(.seconds(8))
    }
    for child in children.reversed() { child.terminate() }
    for child in children.reversed() { child.awaitEnd(.seconds(8)) }
    unlink("\(directory)/up.json")
    if isTemporary { do { try removeTree(directory) } catch { complain("\(error)") } }
  }
}

extension String {
  /// `http://host:port` as `host:port`.
  fileprivate var replacingScheme: String { hasPrefix("http://") ? String(dropFirst(7)) : self }
}

/// 256 random bits.
private func freshKey() -> String {
  var generator = SystemRandomNumberGenerator()
  return (0..<4).map { _ in String(generator.next() as UInt64, radix: 36) }.joined()
}
