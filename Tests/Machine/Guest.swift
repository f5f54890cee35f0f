import Glibc
import Linux

/// Waits until something holds that tells nobody when it does; emulated, everything takes ten times as long as elsewhere.
@discardableResult
func eventually<Value>(
  _ what: String, within limit: Duration = .seconds(60), _ body: () throws -> Value?
) throws -> Value {
  let deadline = ContinuousClock.now + limit
  while true {
    if let value = try body() { return value }
    if ContinuousClock.now > deadline { throw Unmet("\(what): not within \(limit.milliseconds) ms") }
    usleep(5_000)
  }
}

/// Runs a program to its end; its output and errors together.
@discardableResult
func run(
  _ command: [String], environment: [String] = [], within limit: Duration = .seconds(120)
) throws -> (end: ProcessEnd, output: String) {
  let null = try Descriptor.open("/dev/null", O_RDWR)
  let pipe = try makePipe()
  let child = try ProcessHandle(
    child: spawn(
      command[0], command, environment: ["PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"] + environment,
      descriptors: [null, pipe.write, pipe.write]))
  pipe.write.close()
  var output: [UInt8] = []
  let deadline = ContinuousClock.now + limit
  while true {
    let readable = try waitReadable([pipe.read], timeout: max(.zero, deadline - ContinuousClock.now))
    guard readable[0] else {
      try child.signal(SIGKILL)
      _ = try child.wait()
      throw Unmet("\(command.joined(separator: " ")): not done within \(limit.milliseconds) ms")
    }
    var buffer = [UInt8](repeating: 0, count: 65536)
    let count = read(pipe.read.number, &buffer, buffer.count)
    if count <= 0 { break }
    output += buffer[..<count]
  }
  guard let end = try child.wait() else { throw Unmet("\(command[0]): no end") }
  return (end, String(decoding: output, as: UTF8.self))
}

/// Runs a program that must end with 0; gives its output.
@discardableResult
func must(_ command: [String], environment: [String] = []) throws -> String {
  let (end, output) = try run(command, environment: environment)
  try expect(end == .exited(0), "\(command.joined(separator: " ")): \(end): \(output)")
  return output
}

/// A file's text without its last newline.
func text(_ path: String) throws -> String {
  let text = try readFile(path)
  return text.hasSuffix("\n") ? String(text.dropLast()) : text
}

/// A systemd unit.
struct Unit {
  let name: String
  static let supervisor = Unit(name: "botburrow-supervisor.service")

  func property(_ property: String) throws -> String {
    String(try must(["/usr/bin/systemctl", "show", "-P", property, name]).dropLast())
  }
  func start() throws { try must(["/usr/bin/systemctl", "start", name]) }
  func stop() throws { try must(["/usr/bin/systemctl", "stop", name]) }

  /// Its main process; nil between two of them.
  func mainProcess() throws -> pid_t? {
    let pid = pid_t(try property("MainPID")) ?? 0
    return pid > 0 ? pid : nil
  }
  /// Where systemd put it.
  func group() throws -> ControlGroup { ControlGroup(path: "/sys/fs/cgroup" + (try property("ControlGroup"))) }
}

extension ControlGroup {
  /// The group at or below this one whose name is or ends with this, behind a prefix (`a-<activation>`).
  func descendant(named name: String) -> ControlGroup? {
    if path.hasSuffix("/" + name) || path.hasSuffix("-" + name) { return self }
    for child in (try? directories(in: path)) ?? [] {
      if let found = self.child(child).descendant(named: name) { return found }
    }
    return nil
  }

  /// Processes in it and below it.
  var processes: [pid_t] {
    let own = (value("cgroup.procs") ?? "").split(separator: "\n").compactMap { pid_t($0) }
    return own + ((try? directories(in: path)) ?? []).flatMap { child($0).processes }
  }
}

/// What the kernel holds of sandboxes, seen from the host's side.
struct Holdings: Equatable {
  var networkNamespaces: Set<UInt64>
  var links: Set<String>
  var mounts: Set<String>
  var loops: Set<String>

  /// `except`: processes whose namespaces don't count. The kernel gives a dead namespace's number to a new one, so those of
  /// a new supervisor may look like an old one's.
  static func now(except: Set<pid_t> = []) throws -> Holdings {
    var namespaces: Set<UInt64> = []
    for name in try directories(in: "/proc") {
      guard let pid = pid_t(name), !except.contains(pid), let id = namespaceIDs(pid: name)["net"] else { continue }
      namespaces.insert(id)
    }
    // Without its first two fields, numbers of which each mount of the same thing gets new ones.
    let mounts = try readFile("/proc/self/mountinfo").split(separator: "\n").map {
      $0.split(separator: " ").dropFirst(2).joined(separator: " ")
    }
    let backed = try directories(in: "/sys/devices/virtual/block").filter {
      $0.hasPrefix("loop") && access("/sys/devices/virtual/block/\($0)/loop/backing_file", F_OK) == 0
    }
    return Holdings(
      networkNamespaces: namespaces, links: Set(try directories(in: "/sys/devices/virtual/net")),
      mounts: Set(mounts), loops: Set(backed))
  }

  /// What is here and not there.
  func beyond(_ other: Holdings) -> [String] {
    networkNamespaces.subtracting(other.networkNamespaces).map { "network namespace \($0)" }
      + links.subtracting(other.links).map { "link \($0)" } + mounts.subtracting(other.mounts).map { "mount \($0)" }
      + loops.subtracting(other.loops).map { "loop device \($0)" }
  }
}
