import CLinux
import Glibc
import Linux

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
      // It may end while we look.
      guard let status = try? ProcessStatus.read(pid: pid), !namespaces.isEmpty else { continue }
      var limits: [Int: ResourceLimits] = [:]
      for resource in inspection.limits.keys { limits[resource] = try? ResourceLimits.read(resource, pid: pid) }
      let name = (try? readFile("/proc/\(pid)/comm")) ?? ""
      reading.processes.append(
        Process(
          pid: pid, name: String(name.prefix { $0 != "\n" }), status: status, namespaces: namespaces,
          isInGroup: inspection.groupPath == nil || members.contains(pid), limits: limits))
    }
    reading.mounts = mounts(inMountInfo: try readFile("/proc/\(inspection.pid)/mountinfo"))
    let supervisor = inspection.supervisorPID
    reading.filter = try Thread.await { () throws(LinuxError) in
      let gateway = try Descriptor.open("/proc/\(supervisor)/ns/net")
      if withExtendedLifetime(gateway, { cl_setns(gateway.number, Int32(CL_NEWNET)) }) < 0 {
        throw LinuxError.last("setns", "/proc/\(supervisor)/ns/net", advice: "run as root")
      }
      return try PacketFilterReading.read()
    }
    return reading
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
