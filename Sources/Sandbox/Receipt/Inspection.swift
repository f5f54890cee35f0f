import Glibc
import JSON
import Linux

/// A living sandbox as the supervisor made it: what a reader of the kernel's word must find.
public struct Inspection: Sendable, Hashable {
  /// The receipt as far as it is written.
  public var receipt: JSONValue
  /// PID 1 of the sandbox, in the supervisor's PID namespace.
  public var pid: pid_t
  /// Whose network namespace is the gateway's.
  public var supervisorPID: pid_t
  /// Absolute path; nil on a host without cgroup v2.
  public var groupPath: String?
  /// Files of the group, and what must stand in them.
  public var groupFiles: [String: String]
  /// RLIMIT_* by number, soft and hard.
  public var limits: [Int: UInt64]
  /// First of the host's user ids that are the sandbox's; there are 65,536.
  public var firstID: Int
  /// The agent's user id inside.
  public var uid: Int
  /// The sandbox's interface in the gateway namespace; nil: it has none.
  public var interface: UInt32?
  /// What it may reach.
  public var ways: Set<PacketFilter.Way>
  /// Mount points that may be written to.
  public var writable: Set<String>
  /// Mount points that show a device of the host, or hide a file behind one; none of these is a file of anybody's.
  public var devices: Set<String>
  /// Of the profile of that name now; nil: it can't be read any more.
  public var currentDigest: String?
}

extension Inspection {
  var json: JSONValue {
    var fields: [String: JSONValue] = [
      "receipt": receipt, "pid": .integer(Int64(pid)), "supervisor_pid": .integer(Int64(supervisorPID)),
      "first_id": .integer(Int64(firstID)), "uid": .integer(Int64(uid)),
      "group_files": .object(groupFiles.mapValues { .string($0) }),
      "limits": .object(Dictionary(limits.map { ("\($0)", .string("\($1)")) }) { first, _ in first }),
      "ways": .array(
        ways.map {
          [
            "source": .string("\($0.source)"), "destination": .string("\($0.destination)"),
            "port": .integer(Int64($0.port)),
          ]
        }),
      "writable": .array(writable.sorted().map { .string($0) }),
      "devices": .array(devices.sorted().map { .string($0) }),
    ]
    fields["group"] = groupPath.map { .string($0) }
    fields["interface"] = interface.map { .integer(Int64($0)) }
    fields["current_digest"] = currentDigest.map { .string($0) }
    return .object(fields)
  }

  init?(json: JSONValue) {
    guard let receipt = json["receipt"], let pid = json["pid"]?.integer,
      let supervisor = json["supervisor_pid"]?.integer,
      let firstID = json["first_id"]?.integer, let uid = json["uid"]?.integer
    else { return nil }
    self.receipt = receipt
    self.pid = pid_t(clamping: pid)
    supervisorPID = pid_t(clamping: supervisor)
    self.firstID = Int(firstID)
    self.uid = Int(uid)
    groupPath = json["group"]?.string
    groupFiles = (json["group_files"]?.object ?? [:]).compactMapValues(\.string)
    limits = [:]
    for (key, value) in json["limits"]?.object ?? [:] {
      if let resource = Int(key), let number = value.string.flatMap({ UInt64($0) }) { limits[resource] = number }
    }
    let interface = json["interface"]?.integer.flatMap { UInt32(exactly: $0) }
    self.interface = interface
    ways = Set(
      (json["ways"]?.array ?? []).compactMap { way in
        guard let interface, let source = way["source"]?.string.flatMap({ IPv4Address($0) }),
          let destination = way["destination"]?.string.flatMap({ IPv4Address($0) }),
          let port = way["port"]?.integer.flatMap({ UInt16(exactly: $0) })
        else { return nil }
        return PacketFilter.Way(interface: interface, source: source, destination: destination, port: port)
      })
    writable = Set((json["writable"]?.array ?? []).compactMap(\.string))
    devices = Set((json["devices"]?.array ?? []).compactMap(\.string))
    currentDigest = json["current_digest"]?.string
  }
}
