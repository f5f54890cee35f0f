import Glibc
import JSON
import Linux

/// What a supervisor and its sandboxes take of the host, counted from outside: /proc, cgroupfs, /sys, `ip`, `nft`.
public struct Holdings: Sendable, Hashable, CustomStringConvertible {
  /// Children: launchers and PID 1s.
  public var processes = 0
  /// Groups of activations.
  public var groups = 0
  /// Links in the gateway's namespace besides loopback. Each is the near end of a network namespace that lives.
  public var links = 0
  /// Elements of all sets of the gateway's packet filter.
  public var elements = 0
  /// Mounts in the supervisor's namespace.
  public var mounts = 0
  /// Open files of the supervisor, namespaces among them.
  public var descriptors = 0
  /// Of the supervisor.
  public var threads = 0
  /// Loop devices whose file is in the supervisor's directory.
  public var loops = 0
  /// Files below the supervisor's directory.
  public var files = 0

  private var parts: [(String, Int)] {
    [
      ("processes", processes), ("groups", groups), ("links", links), ("nft elements", elements), ("mounts", mounts),
      ("descriptors", descriptors), ("threads", threads), ("loop devices", loops), ("files", files),
    ]
  }

  /// Looks now.
  public init() {}

  /// What there is more of than there was.
  public func beyond(_ before: Holdings) -> [String] {
    zip(parts, before.parts).compactMap { now, then in
      now.1 > then.1 ? "\(now.0): \(now.1) instead of \(then.1)" : nil
    }
  }

  /// For messages of tests.
  public var description: String { parts.map { "\($0.1) \($0.0)" }.joined(separator: ", ") }
}

/// A running supervisor, seen from outside.
public struct Watched: Sendable {
  /// The supervisor that is watched.
  public let pid: pid_t
  /// Its process's network namespace. Held open, so that there is somewhere to look when it is dead.
  public let gateway: Descriptor
  /// The group below which its sandboxes have theirs.
  public let group: ControlGroup
  /// Where it keeps files.
  public let directory: String

  /// - Parameter group: the group in which it was started.
  public init(pid: pid_t, in group: ControlGroup, directory: String) throws {
    self.pid = pid
    self.directory = directory
    self.group = group.child("botburrow-\(pid)")
    // It listens before it leaves our network.
    let ours = namespaceIDs(pid: "self")["net"]
    let deadline = ContinuousClock.now + .seconds(10)
    while namespaceIDs(pid: "\(pid)")["net"] == ours {
      if ContinuousClock.now > deadline { throw LinuxError("leave the host's network", "pid \(pid)", code: ETIMEDOUT) }
      usleep(1000)
    }
    gateway = try Descriptor.open("/proc/\(pid)/ns/net")
  }

  /// Counts everything.
  public func count() throws -> Holdings {
    var holdings = Holdings()
    holdings.processes = children.count
    holdings.groups = access(group.path, F_OK) == 0 ? try directories(in: group.path).count : 0
    holdings.links = try links()
    holdings.elements = try elements()
    holdings.mounts = try readFile("/proc/\(pid)/mountinfo").split(separator: "\n").count
    holdings.descriptors = Self.entries("/proc/\(pid)/fd")
    holdings.threads = Self.entries("/proc/\(pid)/task")
    holdings.loops = Self.loops(below: directory)
    holdings.files = Self.files(below: directory)
    return holdings
  }

  /// What is still there beyond `before` when the time is up. Threads end, and the pool refills, a little after the receipt.
  public func remains(beyond before: Holdings, within time: Duration = .seconds(1)) throws -> [String] {
    let deadline = ContinuousClock.now + time
    while true {
      let left = try count().beyond(before)
      if left.isEmpty || ContinuousClock.now > deadline { return left }
      usleep(5_000)
    }
  }

  /// Processes that its threads started.
  public var children: [pid_t] { Self.children(of: pid) }

  /// Processes that a process's threads started; none of one that is gone.
  public static func children(of pid: pid_t) -> [pid_t] {
    ((try? directories(in: "/proc/\(pid)/task")) ?? []).flatMap { thread in
      ((try? readFile("/proc/\(pid)/task/\(thread)/children")) ?? "").split(separator: " ").compactMap { pid_t($0) }
    }
  }

  /// PID 1 of each sandbox, and launchers: the former are in a PID namespace of their own.
  public var childrenByKind: (sandboxes: [pid_t], launchers: [pid_t]) { Self.childrenByKind(of: pid) }

  /// The same of any supervisor.
  public static func childrenByKind(of pid: pid_t) -> (sandboxes: [pid_t], launchers: [pid_t]) {
    let own = pidNamespace(pid)
    let all = children(of: pid).map { ($0, pidNamespace($0)) }
    return (
      all.filter { $0.1 != nil && $0.1 != own }.map(\.0), all.filter { $0.1 != nil && $0.1 == own }.map(\.0)
    )
  }

  /// Private memory that is its own alone, kilobytes (proc_pid_smaps(5)).
  public func privateMemory() throws -> Int {
    try readFile("/proc/\(pid)/smaps_rollup").split(separator: "\n").filter { $0.hasPrefix("Private_") }
      .compactMap { $0.split(separator: " ").dropFirst().first.flatMap { Int($0) } }.reduce(0, +)
  }

  /// Links of the gateway's namespace besides loopback.
  public func links() throws -> Int {
    try inGateway(["/usr/sbin/ip", "-br", "link"]).split(separator: "\n").filter { !$0.hasPrefix("lo ") }.count
  }

  private func elements() throws -> Int {
    let text = try inGateway(["/usr/sbin/nft", "-j", "list", "ruleset"])
    return (try JSON.decode(JSONValue.self, from: Array(text.utf8))["nftables"]?.array ?? []).reduce(0) {
      $0 + ($1["set"]?["elem"]?.array?.count ?? 0)
    }
  }

  private func inGateway(_ command: [String]) throws -> String {
    let (output, stdout) = try makePipe()
    let process = try ProcessHandle(
      child: try spawn(
        "/usr/bin/nsenter", ["nsenter", "--net=/proc/self/fd/3"] + command,
        descriptors: [nil, stdout, Descriptor.borrowed(2), gateway]))
    stdout.close()
    let text = String(decoding: try output.readAll(limit: 16 << 20), as: UTF8.self)
    guard try process.wait() == .exited(0) else { throw LinuxError("run", command.joined(separator: " "), code: EIO) }
    return text
  }

  private static func pidNamespace(_ pid: pid_t) -> UInt64? {
    var status = stat()
    return stat("/proc/\(pid)/ns/pid", &status) == 0 ? UInt64(status.st_ino) : nil
  }

  private static func entries(_ path: String) -> Int {
    guard let stream = opendir(path) else { return 0 }
    defer { closedir(stream) }
    var count = -2
    while readdir(stream) != nil { count += 1 }
    return count
  }

  /// Loop devices whose file is below a directory.
  public static func loops(below directory: String) -> Int {
    let devices = (try? Descriptor.open("/sys/block", O_RDONLY | O_DIRECTORY).names("/sys/block", limit: 4096)) ?? []
    return devices.filter { name in
      name.hasPrefix("loop")
        && ((try? readFile("/sys/block/\(name)/loop/backing_file")) ?? "").hasPrefix(directory + "/")
    }.count
  }

  private static func files(below path: String) -> Int {
    let here = ((try? Linux.files(in: path)) ?? []).count
    return ((try? directories(in: path)) ?? []).reduce(here) { $0 + files(below: "\(path)/\($1)") }
  }
}
