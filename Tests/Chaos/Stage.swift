import CLinux
import Glibc
import JSON
import Leftovers
import Linux
import Parts
import Redis

/// Where it happens: a directory and a cgroup of its own, with everything that is real in it. It is the parent of whatever
/// loses its parent, so that nothing that a killed process leaves can hide.
@MainActor
final class Stage {
  static let list = "runner:notification:work"
  /// Of a consumer that knows nothing of us.
  static let peerList = "runner:exploration:work"
  static let key = "key-of-the-chaos"

  let options: ChaosOptions
  let directory: String
  let agents: [String]
  private(set) var parts: [Part] = []
  private(set) var proxy: FaultProxy?
  private(set) var hubURL = ""
  /// Told of what must not be: somebody ended whom nobody killed.
  private(set) var troubles: [String] = []
  /// What a supervisor has that runs nothing.
  private(set) var idle: Holdings?
  private let origin: ControlGroup
  private let group: ControlGroup
  private let before: Surroundings
  private let account: (uid: uid_t, gid: gid_t)

  init(_ options: ChaosOptions) throws {
    self.options = options
    try check(cl_child_subreaper(), "prctl PR_SET_CHILD_SUBREAPER", "")
    guard let nobody = getpwnam("nobody") else { throw ChaosError("there is no user 'nobody' to run daemons as") }
    account = (nobody.pointee.pw_uid, nobody.pointee.pw_gid)
    before = try Surroundings()
    directory = "/tmp/botburrow-chaos-\(getpid())"
    agents = (0..<options.agents).map { "\(Habit.of($0).rawValue)-\($0)" }
    origin = try ControlGroup.current()
    group = origin.child("chaos-\(getpid())")
    try group.create()
    try group.set("cgroup.procs", "\(getpid())")
    try check(mkdir(directory, 0o755), "mkdir", directory)
  }

  // MARK: Setting up

  func start() async throws {
    try makeFiles()
    try add(.redis, "redis", redisCommand)
    try await isUp("Redis") { try await self.redis(["PING"]) == .status("PONG") }
    let hub = try add(
      .hub, "hub",
      [
        program, "hub", "--listen", "127.0.0.1:0", "--journal", journal, "--die-with", "\(getpid())", "--log-level",
        "notice",
      ] + agents.flatMap { ["--agent", $0] })
    var port: UInt16 = 0
    try await isUp("the Hub") {
      port =
        try hub.records().flatMap(\.records).compactMap { $0.fields["port"]?.integer }.first.flatMap { UInt16($0) } ?? 0
      return port > 0
    }
    hubURL = "http://127.0.0.1:\(port)"
    let proxy = try FaultProxy(hubPort: port, stripsKeys: options.mode == .noKeys, seed: options.seed &+ 1)
    self.proxy = proxy
    for host in 0...1 {
      try write("coordinator-\(host).yaml", configuration(host, hub: proxy.port))
      try add(
        .supervisor, "supervisor-\(host)", host: host,
        [
          program, "supervisor", "--socket", socket(host), "--profiles", options.profiles, "--workspaces",
          "\(directory)/workspaces-\(host)", "--cgroup", "best-effort", "--log-level", "debug", "--allow-user",
          "\(account.uid)", "--die-with", "\(getpid())", "--metrics",
          "unix:\(directory)/metrics/supervisor-\(host).sock",
        ])
      try await isUp("supervisor \(host)") { access(self.socket(host), F_OK) == 0 }
    }
    // Two at one host and two at the other.
    for index in 1...2 { try daemon(.coordinator, "coordinator-\(index)", host: index - 1, ["coordinator"]) }
    for index in 1...4 {
      let name = "runner-\(index)"
      try daemon(
        .runner, name, host: (index - 1) % 2,
        ["runner", "--pool", "notification", "--grace", "2", "--receipts", "\(directory)/receipts/\(name)"])
    }
    if let part = parts.first(where: { $0.kind == .supervisor }) { idle = try await settled(part) }
  }

  private var program: String { "\(options.programs)/botburrow" }
  var journal: String { "\(directory)/hub.jsonl" }
  private func socket(_ host: Int) -> String { "\(directory)/supervisor-\(host).sock" }
  private var redisSocket: String { "\(directory)/redis/redis.sock" }
  var redisURL: RedisURL { RedisURL(address: .unix(path: redisSocket)) }

  private var redisCommand: [String] {
    [
      "/usr/bin/setpriv", "--reuid=\(account.uid)", "--regid=\(account.gid)", "--clear-groups", "--pdeathsig=TERM",
      "--",
      "/usr/bin/redis-server", "--port", "0", "--unixsocket", redisSocket, "--unixsocketperm", "700", "--dir",
      "\(directory)/redis", "--appendonly", "yes", "--appendfsync", "always", "--save", "", "--daemonize", "no",
    ]
  }

  private func makeFiles() throws {
    for name in ["redis", "receipts", "metrics"] + (1...4).map({ "receipts/runner-\($0)" }) {
      try makeDirectory("\(directory)/\(name)", owner: account, mode: 0o755)
    }
    for name in ["logs", "definitions", "definitions/agents", "definitions/skills"] {
      try check(mkdir("\(directory)/\(name)", 0o755), "mkdir", name)
    }
    let mark = "chaos-\(getpid())"
    for (index, agent) in agents.enumerated() {
      try check(mkdir("\(directory)/definitions/agents/\(agent)", 0o755), "mkdir", agent)
      try write("definitions/agents/\(agent)/config.yaml", Habit.of(index).definition(agent, mark: mark))
      try write("definitions/agents/\(agent)/system-prompt.md", "You are \(agent).\n")
    }
  }

  private func configuration(_ host: Int, hub: Int) -> String {
    """
    coordinator: {poll_interval: 1s, stale_threshold: 365d, max_concurrent_activations: \(options.globalCap)}
    runners:
      notification: {max_activations: \(options.runnerCap)}
    redis: {url: "unix://\(redisSocket)"}
    hub: {url: "http://127.0.0.1:\(hub)", api_key: "${HUB_API_KEY}"}
    definitions: {directory: "\(directory)/definitions"}
    supervisor: {socket: "\(socket(host))"}
    work: {lease: \(options.lease)s, max_attempts: 100}
    receipts: {directory: "\(directory)/receipts"}

    """
  }

  private func write(_ name: String, _ text: String) throws {
    try Descriptor.open("\(directory)/\(name)", O_WRONLY | O_CREAT | O_EXCL, mode: 0o644).write(text.utf8)
  }

  @discardableResult
  private func add(_ kind: Part.Kind, _ name: String, host: Int = 0, _ arguments: [String]) throws -> Part {
    let part = Part(
      kind, name, host: host, arguments, environment: ["HUB_API_KEY=\(Self.key)"], in: "\(directory)/logs")
    try part.start()
    parts.append(part)
    return part
  }

  private func daemon(_ kind: Part.Kind, _ name: String, host: Int, _ arguments: [String]) throws {
    try add(
      kind, name, host: host,
      [program] + arguments + [
        "--config", "\(directory)/coordinator-\(host).yaml", "--metrics", "unix:\(directory)/metrics/\(name).sock",
        "--run-as", "\(account.uid)", "--die-with", "\(getpid())", "--log-level", "info",
      ])
  }

  private func isUp(_ what: String, _ look: () async throws -> Bool) async throws {
    let deadline = ContinuousClock.now + .seconds(20)
    while true {
      if let up = try? await look(), up { return }
      if ContinuousClock.now > deadline { throw ChaosError("\(what) did not come up; see \(directory)/logs") }
      for part in parts where try part.endedNow() != nil {
        throw ChaosError("\(part.name) ended at its start; see \(part.log)")
      }
      try await Task.sleep(for: .milliseconds(10))
    }
  }

  // MARK: Keeping it running

  private var connection: RedisConnection?

  /// One command of somebody outside.
  func redis(_ arguments: [RedisArgument]) async throws(RedisError) -> RedisValue {
    let connection = connection ?? RedisConnection(redisURL, commandTimeout: .seconds(5))
    self.connection = connection
    return try await connection.command(arguments)
  }

  /// Looks who ended, continues and starts again who is due. Call it every few milliseconds.
  func tend() throws {
    let now = ContinuousClock.now
    for part in parts {
      if let end = try part.endedNow() {
        if !part.isDoomed { troubles.append("\(part.name) ended by itself: \(end); see \(part.log)") }
        if part.restartsAt == nil { part.restartsAt = now }
      }
      if let time = part.continuesAt, time <= now {
        part.continuesAt = nil
        try part.signal(SIGCONT)
      }
      if part.handle == nil, let time = part.restartsAt, time <= now {
        if part.kind == .supervisor { unlink(socket(part.host)) }
        try part.start()
      }
    }
    reap()
  }

  /// Processes that became ours because their parents died.
  private func reap() {
    let known = Set(parts.map(\.pid))
    for pid in strays where !known.contains(pid) {
      var status: Int32 = 0
      waitpid(pid, &status, WNOHANG)
    }
  }

  private var strays: [pid_t] {
    Watched.children(of: getpid())
  }

  /// PID 1 of each sandbox, of any host.
  func sandboxes() -> [pid_t] {
    parts.filter { $0.kind == .supervisor && $0.handle != nil }.flatMap { Watched.childrenByKind(of: $0.pid).sandboxes }
  }

  /// What a supervisor has once nothing changes any more.
  func settled(_ part: Part) async throws -> Holdings {
    let watched = try Watched(pid: part.pid, in: group, directory: "\(directory)/workspaces-\(part.host)")
    var last = try watched.count()
    for _ in 0..<50 {
      try await Task.sleep(for: .milliseconds(50))
      let now = try watched.count()
      if now == last { break }
      last = now
    }
    return last
  }

  // MARK: The end

  /// Ends everybody in order; what is left of them and of the machine's state.
  func end() async throws -> [String] {
    var left: [String] = []
    connection?.close()
    for kinds in [[Part.Kind.runner, .coordinator], [.supervisor], [.hub, .redis]] {
      let ending = parts.filter { kinds.contains($0.kind) && $0.handle != nil }
      for part in ending {
        part.isDoomed = true
        try part.signal(SIGTERM)
        try part.signal(SIGCONT)
      }
      let deadline = ContinuousClock.now + .seconds(20)
      while try ending.contains(where: { try $0.endedNow() == nil && $0.handle != nil }) {
        if ContinuousClock.now > deadline {
          left += ending.filter { $0.handle != nil }.map { "\($0.name), 20 s after SIGTERM" }
          for part in ending { try part.signal(SIGKILL) }
          break
        }
        try await Task.sleep(for: .milliseconds(20))
      }
    }
    proxy?.end()
    let deadline = ContinuousClock.now + .seconds(5)
    repeat {
      try await Task.sleep(for: .milliseconds(20))
      reap()
    } while ContinuousClock.now < deadline && !strays.isEmpty
    left += strays.map { "process \($0): \((try? readFile("/proc/\($0)/cmdline")) ?? "")" }
    let loops = Watched.loops(below: directory)
    if loops > 0 { left.append("loop devices: \(loops)") }
    for name in try directories(in: group.path) { left.append("group \(group.path)/\(name)") }
    try origin.set("cgroup.procs", "\(getpid())")
    if try group.waitUntilEmpty(timeout: .seconds(5)) {
      try group.remove()
    } else {
      left.append("group \(group.path) with processes")
    }
    return left + (try Surroundings().beyond(before))
  }

  /// Removes the directory, or moves its logs to where they are kept.
  func clear(keepingLogs: Bool) throws -> String? {
    let kept = options.logs ?? "/tmp/botburrow-chaos-failed-\(getpid())"
    let keeps = keepingLogs || options.logs != nil
    if keeps {
      try makeDirectory(kept, owner: (0, 0), mode: 0o755)
      for name in try files(in: "\(directory)/logs") { rename("\(directory)/logs/\(name)", "\(kept)/\(name)") }
      rename(journal, "\(kept)/hub.jsonl")
    }
    try removeTree(directory)
    return keeps ? kept : nil
  }
}

/// What of the machine's state a system like ours could leave behind, besides processes.
struct Surroundings {
  private var counts: [String: Int] = [:]

  init() throws {
    counts["mounts"] = try readFile("/proc/self/mountinfo", limit: 1 << 24).split(separator: "\n").count
    counts["links"] = try readFile("/proc/self/net/dev").split(separator: "\n").count
    counts["named network namespaces"] = (try? files(in: "/run/netns").count) ?? 0
    counts["System V segments"] = try readFile("/proc/sysvipc/shm").split(separator: "\n").count
  }

  func beyond(_ before: Surroundings) -> [String] {
    counts.sorted { $0.key < $1.key }.compactMap { name, count in
      let then = before.counts[name] ?? 0
      return count > then ? "\(name): \(count) instead of \(then)" : nil
    }
  }
}
