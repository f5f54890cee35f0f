import CLinux
import Glibc
import Linux

/// A text of the sandbox's as it can be shown on a terminal: a program may choose its own name.
func printable(_ text: String) -> String {
  String(
    String.UnicodeScalarView(text.unicodeScalars.map { $0.properties.generalCategory == .control ? "\u{FFFD}" : $0 }))
}

/// What the kernel says of a living sandbox, read by somebody other than its supervisor.
struct SandboxReading: Sendable, Hashable {
  /// One process that is in the sandbox's cgroup or in its PID namespace.
  struct Process: Sendable, Hashable {
    var pid: pid_t
    /// Of /proc/<pid>/comm.
    var name: String
    var status: ProcessStatus
    var namespaces: [String: UInt64]
    var isInGroup: Bool
    /// Hard limits by RLIMIT_* number, those that the inspection names.
    var limits: [Int: ResourceLimits]
  }
  /// One line of /proc/<pid>/mountinfo (proc_pid_mountinfo(5)).
  struct Mount: Sendable, Hashable {
    var point: String
    var options: Set<String>
  }

  var processes: [Process] = []
  var groupFiles: [String: String] = [:]
  var mounts: [Mount] = []
  var filter = PacketFilterReading()

  /// Reads everything that `inspection` says something about. Needs root.
  static func read(_ inspection: Inspection) throws(LinuxError) -> SandboxReading {
    var reading = SandboxReading()
    var members: Set<pid_t> = []
    if let path = inspection.groupPath {
      let group = ControlGroup(path: path)
      members = Set(processes(below: group))
      for file in inspection.groupFiles.keys { reading.groupFiles[file] = group.value(file) }
    }
    let namespace = namespaceIDs(pid: "\(inspection.pid)")["pid"]
    for pid in try directories(in: "/proc").compactMap({ pid_t($0) }) {
      let namespaces = namespaceIDs(pid: "\(pid)")
      guard members.contains(pid) || namespace != nil && namespaces["pid"] == namespace else { continue }
      // It may end while we look; one that has ended, and that nobody has reaped yet, has no walls left, nor needs any.
      guard let text = try? readFile("/proc/\(pid)/status"), !hasEnded(text), !namespaces.isEmpty else { continue }
      var limits: [Int: ResourceLimits] = [:]
      for resource in inspection.limits.keys { limits[resource] = try? ResourceLimits.read(resource, pid: pid) }
      let name = (try? readFile("/proc/\(pid)/comm")) ?? ""
      reading.processes.append(
        Process(
          pid: pid, name: printable(name.last == "\n" ? String(name.dropLast()) : name),
          status: ProcessStatus(text: text), namespaces: namespaces,
          isInGroup: inspection.groupPath == nil || members.contains(pid), limits: limits))
    }
    reading.mounts = mounts(inMountInfo: try readFile("/proc/\(inspection.pid)/mountinfo"))
    reading.filter = try filter(ofSupervisor: inspection.supervisorPID)
    return reading
  }

  /// The filter in a supervisor's network namespace, which a thread visits for that.
  static func filter(ofSupervisor pid: pid_t) throws(LinuxError) -> PacketFilterReading {
    try Thread.await { () throws(LinuxError) in
      let gateway = try Descriptor.open("/proc/\(pid)/ns/net")
      if withExtendedLifetime(gateway, { cl_setns(gateway.number, Int32(CL_NEWNET)) }) < 0 {
        throw LinuxError.last("setns", "/proc/\(pid)/ns/net", advice: "run as root")
      }
      return try PacketFilterReading.read()
    }
  }

  private static func hasEnded(_ status: String) -> Bool {
    let line = status.split(separator: "\n").first { $0.hasPrefix("State:") } ?? ""
    return line.dropFirst(6).first { $0 != "\t" }.map { $0 == "Z" || $0 == "X" } ?? false
  }

  private static func processes(below group: ControlGroup) -> [pid_t] {
    let own = (group.value("cgroup.procs") ?? "").split(separator: "\n").compactMap { pid_t($0) }
    return ((try? directories(in: group.path)) ?? []).reduce(own) { $0 + processes(below: group.child($1)) }
  }

  /// The mounts of a process, as it sees them.
  static func mounts(inMountInfo text: String) -> [Mount] {
    text.split(separator: "\n").compactMap { line in
      let fields = line.split(separator: " ")
      guard fields.count > 5 else { return nil }
      return Mount(point: unescaped(fields[4]), options: Set(fields[5].split(separator: ",").map(String.init)))
    }
  }

  /// Space, tab, newline and backslash are written as octal numbers.
  private static func unescaped(_ text: Substring) -> String {
    var rest = text.utf8[...]
    var bytes: [UInt8] = []
    while let byte = rest.popFirst() {
      if byte == UInt8(ascii: "\\"), let code = UInt8(String(decoding: rest.prefix(3), as: UTF8.self), radix: 8) {
        bytes.append(code)
        rest = rest.dropFirst(3)
      } else {
        bytes.append(byte)
      }
    }
    return String(decoding: bytes, as: UTF8.self)
  }
}
