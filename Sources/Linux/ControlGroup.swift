import CLinux
import Glibc

/// One cgroup v2 directory (cgroups(7)).
public struct ControlGroup: Sendable, Hashable {
  /// Absolute path in cgroupfs.
  public let path: String

  /// Names a directory that is or will be there.
  public init(path: String) { self.path = path }

  /// The v2 mount of this host (unified, or beside v1), from the text of /proc/self/mountinfo; nil where there is none.
  public static func mountPoint(inMountInfo text: String) -> String? {
    for line in text.split(separator: "\n") {
      // … mount point is the fifth field; the type follows a lone dash (proc_pid_mountinfo(5)).
      let fields = line.split(separator: " ")
      guard fields.count > 4, let dash = fields.firstIndex(of: "-"), dash + 1 < fields.count else { continue }
      if fields[dash + 1] == "cgroup2" { return String(fields[4]) }
    }
    return nil
  }

  /// The cgroup of a process, from the text of /proc/<pid>/cgroup (`0::/path`).
  public static func own(inProcCgroup text: String) -> String? {
    for line in text.split(separator: "\n") where line.hasPrefix("0::") { return String(line.dropFirst(3)) }
    return nil
  }

  /// The calling process's own group.
  public static func current() throws(LinuxError) -> ControlGroup {
    guard let mount = mountPoint(inMountInfo: try readFile("/proc/self/mountinfo")) else {
      throw LinuxError(
        "find cgroup2", "/proc/self/mountinfo", code: ENOENT, advice: "mount one: mount -t cgroup2 none /sys/fs/cgroup")
    }
    let own = own(inProcCgroup: try readFile("/proc/self/cgroup")) ?? "/"
    return ControlGroup(path: own == "/" ? mount : mount + own)
  }

  /// mkdir(2)
  public func create() throws(LinuxError) { try check(mkdir(path, 0o755), "mkdir", path) }

  /// Controllers that this group may hand down.
  public func controllers() throws(LinuxError) -> Set<String> {
    Set(try readFile(path + "/cgroup.controllers").split { $0 == " " || $0 == "\n" }.map(String.init))
  }

  /// Hands controllers down to children.
  public func delegate(_ controllers: [String]) throws(LinuxError) {
    if controllers.isEmpty { return }
    try writeFile(path + "/cgroup.subtree_control", controllers.map { "+\($0)" }.joined(separator: " "))
  }

  /// A child's name below this one.
  public func child(_ name: String) -> ControlGroup { ControlGroup(path: path + "/" + name) }

  /// Writes one of the group's files.
  public func set(_ file: String, _ value: String) throws(LinuxError) { try writeFile(path + "/" + file, value) }

  /// Reads one of the group's files, without its newline; nil where the controller isn't there.
  public func value(_ file: String) -> String? {
    guard let text = try? readFile(path + "/" + file) else { return nil }
    return text.hasSuffix("\n") ? String(text.dropLast()) : text
  }

  /// A key of a flat keyed file (`memory.events`).
  public func count(_ key: String, in file: String) -> Int? {
    value(file)?.split(separator: "\n").first { $0.hasPrefix(key + " ") }.flatMap { Int($0.dropFirst(key.count + 1)) }
  }

  /// Opens the directory, to be born in (CLONE_INTO_CGROUP).
  public func open() throws(LinuxError) -> Descriptor { try Descriptor.open(path, O_RDONLY | O_DIRECTORY) }

  /// Kills every process in it and below (since Linux 5.14).
  public func kill() throws(LinuxError) { try set("cgroup.kill", "1") }

  /// Waits until no process is left; false when they are still there after `timeout`.
  public func waitUntilEmpty(timeout: Duration) throws(LinuxError) -> Bool {
    try wait(for: "populated 0", timeout: timeout)
  }

  /// Stops every process in it and below, or lets them go on; false when that is not so after `timeout` (a process that
  /// waits in the kernel and can't be interrupted). Frozen ones can still be killed.
  public func freeze(_ frozen: Bool, timeout: Duration) throws(LinuxError) -> Bool {
    try set("cgroup.freeze", frozen ? "1" : "0")
    return try wait(for: frozen ? "frozen 1" : "frozen 0", timeout: timeout)
  }

  /// Waits until cgroup.events has a line; false when it still hasn't after `timeout`.
  private func wait(for line: Substring, timeout: Duration) throws(LinuxError) -> Bool {
    let events = try Descriptor.open(path + "/cgroup.events")
    defer { withExtendedLifetime(events) {} }
    let deadline = ContinuousClock.now + timeout
    while true {
      lseek(events.number, 0, SEEK_SET)
      let text = String(decoding: try events.readAll(limit: 4096), as: UTF8.self)
      if text.split(separator: "\n").contains(line) { return true }
      let left = deadline - ContinuousClock.now
      if left <= .zero { return false }
      // cgroup.events tells of its changes by POLLPRI; reading it again re-arms.
      var entry = pollfd(fd: events.number, events: Int16(POLLPRI), revents: 0)
      poll(&entry, 1, Int32(clamping: left.milliseconds + 1))
    }
  }

  /// rmdir(2), with the groups below it; a group that is already gone is fine.
  public func remove() throws(LinuxError) {
    if rmdir(path) == 0 || errno == ENOENT { return }
    for name in (try? directories(in: path)) ?? [] { try child(name).remove() }
    if rmdir(path) < 0 && errno != ENOENT { throw LinuxError.last("rmdir", path) }
  }
}

/// Names of the directories in a directory.
public func directories(in path: String) throws(LinuxError) -> [String] { try entries(of: path, type: DT_DIR) }

/// Names of the regular files in a directory.
public func files(in path: String) throws(LinuxError) -> [String] { try entries(of: path, type: DT_REG) }

private func entries(of path: String, type: Int) throws(LinuxError) -> [String] {
  guard let stream = opendir(path) else { throw LinuxError.last("opendir", path) }
  defer { closedir(stream) }
  var names: [String] = []
  while let entry = readdir(stream) {
    let name = entryName(entry)
    if name != "." && name != ".." && entry.pointee.d_type == UInt8(type) { names.append(name) }
  }
  return names
}

/// The name of what readdir(3) found.
func entryName(_ entry: UnsafeMutablePointer<dirent>) -> String {
  withUnsafePointer(to: &entry.pointee.d_name) {
    $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
  }
}

extension Duration {
  /// Whole milliseconds, rounded down.
  public var milliseconds: Int64 { components.seconds * 1000 + components.attoseconds / 1_000_000_000_000_000 }
  /// Seconds with fraction.
  public var seconds: Double { Double(components.seconds) + Double(components.attoseconds) / 1e18 }
}
