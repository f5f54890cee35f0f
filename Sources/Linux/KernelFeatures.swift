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

  /// Landlock's ABI version (landlock_create_ruleset(2)); nil where the kernel has none.
  public static var landlockVersion: Int? {
    let version = cl_landlock_version()
    return version > 0 ? Int(version) : nil
  }

  /// Which of these namespaces the kernel hasn't got.
  public static var missingNamespaces: [String] {
    ["user", "mnt", "pid", "net", "ipc", "uts", "cgroup", "time"].filter { access("/proc/self/ns/\($0)", F_OK) != 0 }
  }
}
