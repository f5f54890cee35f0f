import CLinux
import Glibc

/// What the running kernel offers, by asking it.
public enum KernelFeatures {
  /// `uname -r`
  public static var release: String {
    var name = utsname()
    uname(&name)
    return withUnsafePointer(to: &name.release) {
      $0.withMemoryRebound(to: CChar.self, capacity: 65) { String(cString: $0) }
    }
  }

  /// Major and minor number of a release text (`6.1.0-18-amd64`); nil where it doesn't begin with them.
  public static func version(of release: String) -> (major: Int, minor: Int)? {
    let parts = release.split(separator: ".", maxSplits: 2)
    guard parts.count >= 2, let major = Int(parts[0]), let minor = Int(parts[1].prefix { $0.isNumber }) else {
      return nil
    }
    return (major, minor)
  }

  /// What the kernel says when asked for Landlock (landlock_create_ruleset(2)).
  public enum Landlock: Sendable, Hashable {
    case available(version: Int)
    /// Built, but not among the security modules that this boot chose.
    case disabled
    case absent
  }

  /// Landlock, by asking.
  public static var landlock: Landlock {
    let version = cl_landlock_version()
    if version > 0 { return .available(version: Int(version)) }
    return errno == EOPNOTSUPP ? .disabled : .absent
  }

  /// Landlock's ABI version; nil where the kernel has none.
  public static var landlockVersion: Int? {
    if case .available(let version) = landlock { version } else { nil }
  }

  /// Which of these namespaces the kernel hasn't got.
  public static var missingNamespaces: [String] {
    ["user", "mnt", "pid", "net", "ipc", "uts", "cgroup", "time"].filter { access("/proc/self/ns/\($0)", F_OK) != 0 }
  }
}
