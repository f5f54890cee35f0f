import Glibc
import JSON
import Linux

/// One thing that is not as it should be.
public struct Difference: Sendable, Hashable, CustomStringConvertible {
  /// What was looked at: `cgroup memory.max`, `process 812 (sh): seccomp`.
  public var what: String
  /// What it should be.
  public var expected: String
  /// What it is.
  public var found: String

  /// Names a difference.
  public init(_ what: String, expected: String, found: String) {
    self.what = what
    self.expected = expected
    self.found = found
  }

  /// A line for a person.
  public var description: String { "\(what): expected \(expected), found \(found)" }

  /// As `receipt verify --json` prints it.
  public var json: JSONValue {
    ["what": .string(what), "expected": .string(expected), "found": .string(found)]
  }
}

extension Inspection {
  /// Reads the kernel's word of this sandbox and compares. Needs root.
  public func verify() throws(LinuxError) -> [Difference] {
    var found: [Difference] = []
    // Others come and go while we read: a listing of the filter may miss what is there all the time, and a process be
    // seen on its way into the world. What is really different stays so.
    for _ in 0..<3 {
      found = differences(try SandboxReading.read(self))
      if found.isEmpty { break }
    }
    return found
  }

  func differences(_ reading: SandboxReading) -> [Difference] {
    profileDifferences() + reading.processes.flatMap { differences($0) } + presence(reading) + groupDifferences(reading)
      + mountDifferences(reading) + filterDifferences(reading)
  }

  private func profileDifferences() -> [Difference] {
    let digest = receipt["profile_digest"]?.string ?? ""
    if digest == currentDigest { return [] }
    let name = receipt["profile"]?.string ?? ""
    return [
      Difference(
        "profile \(name)", expected: currentDigest ?? "a profile of that name", found: "made from \(digest)")
    ]
  }

  private func presence(_ reading: SandboxReading) -> [Difference] {
    if reading.processes.contains(where: { $0.pid == pid }) { return [] }
    return [Difference("PID 1", expected: "process \(pid)", found: "it isn't in its namespace and cgroup")]
  }

  private func differences(_ process: SandboxReading.Process) -> [Difference] {
    let title = "process \(process.pid) (\(process.name))"
    var differences: [Difference] = []
    func expect(_ what: String, _ expected: String, _ found: String) {
      if expected != found { differences.append(Difference("\(title): \(what)", expected: expected, found: found)) }
    }
    for (name, id) in (receipt["namespaces"]?.object ?? [:]).sorted(by: { $0.key < $1.key }) {
      expect("\(name) namespace", "\(id.integer ?? 0)", "\(process.namespaces[name] ?? 0)")
    }
    for name in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
      expect(name, "0", process.status.capabilities[name].map { String($0, radix: 16) } ?? "unknown")
    }
    expect("seccomp", "2", process.status.seccomp.map { "\($0)" } ?? "unknown")
    expect("no_new_privs", "true", "\(process.status.noNewPrivileges)")
    expect("user ids", "\(firstID + uid)", Set(process.status.userIDs).sorted().map { "\($0)" }.joined(separator: " "))
    if !process.isInGroup, let groupPath { expect("cgroup", groupPath, "another") }
    for (resource, limit) in limits.sorted(by: { $0.key < $1.key }) {
      // A process may lower its own.
      guard let found = process.limits[resource], found.hard > limit || found.soft > limit else { continue }
      let name = InsideOperation.ResourceLimit(rawValue: resource)?.receiptName ?? "\(resource)"
      expect("limit \(name)", "at most \(limit)", "\(max(found.soft, found.hard))")
    }
    return differences
  }

  private func groupDifferences(_ reading: SandboxReading) -> [Difference] {
    groupFiles.sorted { $0.key < $1.key }.compactMap { file, expected in
      let found = reading.groupFiles[file]
      if let found, Self.means(found, expected, file) { return nil }
      // A kernel without swap has no such file, and nothing to limit.
      if found == nil && file == "memory.swap.max" { return nil }
      return Difference("cgroup \(file)", expected: expected, found: found ?? "no such file")
    }
  }

  /// Whether a group's file says what was written to it. Bytes are kept as whole pages; io.max has a line a device, with
  /// the keys that were not written as well.
  static func means(_ found: String, _ written: String, _ file: String = "") -> Bool {
    if found == written { return true }
    if file == "io.max" {
      let lines = found.split(separator: "\n").map { Set($0.split(separator: " ")) }
      return written.split(separator: "\n").allSatisfy { line in
        lines.contains { $0.isSuperset(of: line.split(separator: " ")) }
      }
    }
    guard let found = Int(found), let written = Int(written) else { return false }
    return found == written / pageSize * pageSize
  }
  private static let pageSize = max(1, sysconf(Int32(_SC_PAGESIZE)))

  private func mountDifferences(_ reading: SandboxReading) -> [Difference] {
    var differences: [Difference] = []
    for mount in reading.mounts where !devices.contains(mount.point) {
      if !writable.contains(mount.point) && !mount.options.contains("ro") {
        differences.append(Difference("mount \(mount.point)", expected: "read-only", found: "writable"))
      }
      if !mount.options.contains("nosuid") {
        differences.append(Difference("mount \(mount.point)", expected: "nosuid", found: "set-user-id programs count"))
      }
    }
    return differences
  }

  private func filterDifferences(_ reading: SandboxReading) -> [Difference] {
    let filter = reading.filter
    var differences: [Difference] = []
    if filter.rules != PacketFilterReading.expectedRules {
      differences.append(
        Difference(
          "nftables rules", expected: "the \(PacketFilterReading.expectedRules.count) of table \(PacketFilter.table)",
          found: "\(filter.rules.count), other ones or in another order"))
    }
    if !filter.isClosed {
      differences.append(
        Difference("nftables table \(PacketFilter.table)", expected: "in force, policy drop", found: "open"))
    }
    for table in filter.tables.subtracting([PacketFilter.table]).sorted() {
      differences.append(Difference("nftables table \(table)", expected: "none", found: "it is there"))
    }
    guard let interface else { return differences }
    let own = filter.ways.filter { $0.interface == interface }
    for way in own.subtracting(ways).sorted(by: { $0.port < $1.port }) {
      differences.append(Difference("nftables way to \(Self.text(way))", expected: "closed", found: "open"))
    }
    for way in ways.subtracting(own).sorted(by: { $0.port < $1.port }) {
      differences.append(Difference("nftables way to \(Self.text(way))", expected: "open", found: "closed"))
    }
    if !filter.watched.contains(interface) {
      differences.append(Difference("nftables denials", expected: "counted", found: "not counted"))
    }
    return differences
  }

  private static func text(_ way: PacketFilter.Way) -> String {
    "\(way.destination):\(way.port) from \(way.source)"
  }
}
