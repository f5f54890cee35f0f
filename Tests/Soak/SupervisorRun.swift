import CLinux
import Glibc
import Leftovers
import Linux
import Sandbox
import Synchronization

/// Who is killed.
enum Victim: String, CaseIterable, Sendable {
  case launcher, initProcess = "init", supervisor, runner
}

/// One supervisor from its start to its end.
final class SupervisorRun: Sendable {
  let world: World
  let process: ProcessHandle
  let watched: Watched
  let socket: String
  private let log: Descriptor
  private static let counter = Atomic<Int>(0)

  /// Starts it and waits until it serves.
  init(_ world: World, programs: String, environment: [String] = [], arguments: [String] = []) throws {
    self.world = world
    socket = world.directory + "/s"
    log = try Descriptor.open(world.directory + "/log", O_RDWR | O_CREAT | O_TRUNC)
    process = try Self.spawn(world, programs, environment, log, arguments)
    let deadline = ContinuousClock.now + .seconds(20)
    while true {
      do {
        _ = try PacketSocket.connect(to: socket)
        break
      } catch {
        if ContinuousClock.now > deadline { throw SoakError("the supervisor doesn't serve: \(error)") }
        if try world.wait(for: process, within: .zero) != nil { throw SoakError("the supervisor ended at its start") }
        usleep(1000)
      }
    }
    watched = try Watched(pid: process.pid, in: world.group, directory: world.directory)
  }

  /// The process alone, which may never come to serve.
  static func spawn(
    _ world: World, _ programs: String, _ environment: [String], _ log: Descriptor, _ arguments: [String] = []
  ) throws -> ProcessHandle {
    // A file of a dead one would look like its successor's.
    unlink(world.directory + "/s")
    return try world.start(
      programs + "/botburrow",
      [
        "botburrow", "supervisor", "--socket", world.directory + "/s", "--profiles", world.directory + "/profiles",
        "--workspaces", world.directory + "/workspaces", "--cgroup", "best-effort", "--log-level", "notice",
        "--die-with", "\(getpid())",
      ] + arguments, environment: environment, errors: log)
  }

  /// Has it read profiles anew, so that the next sandbox needs a root that isn't there.
  func reload() throws {
    func count() -> Int { text.split(separator: "\n").filter { $0.contains("profiles are read anew") }.count }
    let before = count()
    try process.signal(SIGHUP)
    if !holds(within: .seconds(5), { count() > before }) { throw SoakError("the supervisor doesn't hear SIGHUP") }
  }

  /// What it complained of.
  var complaints: [String] {
    text.split(separator: "\n").filter { $0.contains("\"level\":\"error\"") }.map(String.init)
  }

  /// What it said.
  var text: String {
    var bytes = [UInt8](repeating: 0, count: 1 << 20)
    let count = withExtendedLifetime(log) {
      bytes.withUnsafeMutableBytes { pread(log.number, $0.baseAddress, $0.count, 0) }
    }
    return String(decoding: bytes[..<max(0, count)], as: UTF8.self)
  }

  /// A process that asks for one sandbox, as a runner does: it holds the connection.
  func client(_ arguments: [String], workspace: String? = nil) throws -> ProcessHandle {
    let number = Self.counter.wrappingAdd(1, ordering: .relaxed).newValue
    return try world.start(
      "/proc/self/exe", ["botburrow-soak", "client", socket, "soak-\(number)", workspace ?? "-"] + arguments)
  }

  /// One sandbox that must work.
  func control(workspace: String? = nil) throws {
    let client = try client(["true"], workspace: workspace)
    let end = try world.wait(for: client, within: .seconds(20))
    if end != .exited(0) {
      throw SoakError("a sandbox that should work ended so: \(end.map { "\($0)" } ?? "it hangs")")
    }
  }

  /// What it has when nothing runs: taken once the first sandboxes are gone and the pool is full.
  func baseline() throws -> Holdings {
    try control(workspace: "agent")
    var last = try watched.count()
    let deadline = ContinuousClock.now + .seconds(2)
    while ContinuousClock.now < deadline {
      usleep(20_000)
      let now = try watched.count()
      if now == last { break }
      last = now
    }
    return last
  }

  /// Kills one process of those, if there is one of the kind.
  func kill(_ victim: Victim, runner: ProcessHandle?) throws -> Bool {
    switch victim {
    case .supervisor: try process.signal(SIGKILL)
    case .runner:
      guard let runner else { return false }
      try runner.signal(SIGKILL)
    case .launcher, .initProcess:
      let kinds = watched.childrenByKind
      // All launchers: nobody knows which one has the request.
      let pids = victim == .launcher ? kinds.launchers : kinds.sandboxes.randomElement().map { [$0] } ?? []
      let handles = pids.map { ProcessHandle(pid: $0, descriptor: Descriptor(owning: cl_pidfd_open($0))) }
      // Numbers come round: whom we hold must still be its child.
      let children = Set(watched.children)
      let still = handles.filter { $0.descriptor.number >= 0 && children.contains($0.pid) }
      for handle in still { try handle.signal(SIGKILL) }
      return !still.isEmpty
    }
    return true
  }

  /// After SIGKILL: waits for its end, and what there is of it a second later.
  func remainsOfDead() throws -> [String] {
    guard try world.wait(for: process, within: .seconds(5)) != nil else { return ["the supervisor itself"] }
    let links = try holds(within: .seconds(1)) { try watched.links() == 0 }
    let isAlone = holds(within: .seconds(1)) { world.strays().isEmpty }
    let loops = holds(within: .seconds(1)) { Watched.loops(below: world.directory) == 0 }
    return (links ? [] : ["links: \(try watched.links())"]) + (isAlone ? [] : ["processes: \(world.strays())"])
      + (loops ? [] : ["loop devices: \(Watched.loops(below: world.directory))"])
  }

  /// What of a dead one is still there a second after another's start.
  func remainsAfterNextStart() throws -> [String] {
    let group = holds(within: .seconds(1)) { access(watched.group.path, F_OK) == -1 }
    let unfinished =
      try directories(in: world.directory).contains("workspaces")
      ? files(in: world.directory + "/workspaces").filter { !$0.hasSuffix(".ext4") } : []
    return (group ? [] : ["group \(watched.group.path)"]) + unfinished.map { "file \($0)" }
  }

  /// Ends it in order.
  func stop() throws -> [String] {
    try process.signal(SIGTERM)
    guard let end = try world.wait(for: process, within: .seconds(20)) else { return ["the supervisor, after SIGTERM"] }
    let group = access(watched.group.path, F_OK) == -1
    return (end == .exited(0) ? [] : ["the supervisor ended so: \(end)"])
      + (group ? [] : ["group \(watched.group.path)"])
      + (try holds(within: .seconds(1)) { try watched.links() == 0 } ? [] : ["links"])
  }
}
