import Linux

/// What Landlock (landlock(7)) grants a sandbox: a second wall under the mounts, made of inodes instead of mount flags.
///
/// Everything below the root can be read and executed; only scratch directories, the result's directory, devices and the
/// sandbox's own /proc can be written. Abstract sockets and signals outside of the sandbox are out of reach. TCP ports are
/// left to the packet filter where there is a gateway: it tells addresses apart, and counts what it refuses; a profile
/// without network can't bind or connect at all.
public struct LandlockPolicy: Sendable, Hashable {
  /// A directory or file, and what may be done at and below it.
  public struct Rule: Sendable, Hashable {
    /// Absolute, inside.
    public var path: String
    /// LANDLOCK_ACCESS_FS_*
    public var access: UInt64
  }
  /// The kernel's ABI version.
  public var version: Int
  /// What is refused unless a rule grants it, LANDLOCK_ACCESS_FS_*.
  public var handledFiles: UInt64
  /// What is refused, LANDLOCK_ACCESS_NET_*.
  public var handledNetwork: UInt64
  /// LANDLOCK_SCOPE_*
  public var scoped: UInt64
  /// What is granted.
  public var rules: [Rule]

  /// Of struct landlock_ruleset_attr in this version; a longer one is E2BIG.
  var attributeSize: Int { version >= 6 ? 24 : version >= 4 ? 16 : 8 }
}

/// LANDLOCK_ACCESS_FS_* of linux/landlock.h, which Debian 12's copy knows in part.
private enum Access {
  static let execute: UInt64 = 1 << 0
  static let writeFile: UInt64 = 1 << 1
  static let readFile: UInt64 = 1 << 2
  static let readDirectory: UInt64 = 1 << 3
  static let makeCharacterDevice: UInt64 = 1 << 6
  static let makeBlockDevice: UInt64 = 1 << 11
  static let truncate: UInt64 = 1 << 14
  static let controlDevice: UInt64 = 1 << 15
  static let reading = execute | readFile | readDirectory
  static let files = writeFile | truncate
  static let devices = makeCharacterDevice | makeBlockDevice

  /// All of an ABI version: 13 in the first, then REFER, TRUNCATE (3) and IOCTL_DEV (5).
  static func all(in version: Int) -> UInt64 {
    (1 << (version >= 5 ? 16 : version >= 3 ? 15 : version >= 2 ? 14 : 13)) - 1
  }
}

extension LandlockPolicy {
  /// The policy of a profile on a kernel with this ABI version.
  public static func make(profile: Profile, version: Int) -> LandlockPolicy {
    let all = Access.all(in: version)
    func rule(_ path: String, _ access: UInt64) -> Rule { Rule(path: path, access: access & all) }
    // Moving between directories (REFER) is granted as well: a scratch directory is one file system.
    let writable = profile.scratch.map(\.path) + (profile.workspace.map { [$0.path] } ?? []) + ["/run/agent/out"]
    return LandlockPolicy(
      version: version, handledFiles: all,
      // BIND_TCP and CONNECT_TCP, since ABI 4.
      handledNetwork: version >= 4 && profile.network == .none ? 3 : 0,
      // ABSTRACT_UNIX_SOCKET and SIGNAL, since ABI 6.
      scoped: version >= 6 ? 3 : 0,
      rules: [
        rule("/", Access.reading), rule("/dev", Access.reading | Access.files | Access.controlDevice),
        rule("/proc", Access.reading | Access.files),
      ] + writable.map { rule($0, all & ~Access.devices & ~Access.controlDevice) })
  }
}

extension LandlockPolicy: CustomStringConvertible {
  /// ABI and writable places, as plans show them.
  public var description: String {
    let network = handledNetwork == 0 ? "" : ", no TCP"
    return "ABI \(version)\(network)\(scoped == 0 ? "" : ", scoped"): "
      + rules.map { "\($0.path) 0x\(String($0.access, radix: 16))" }.joined(separator: " ")
  }
}
