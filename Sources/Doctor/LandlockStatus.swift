import Linux

/// Whether the kernel has Landlock (landlock(7)).
public enum LandlockStatus: Sendable, Hashable {
  /// It is there, with this ABI.
  case available(version: Int)
  /// It was built, but isn't among the security modules that this boot chose. `modules`: those that are.
  case notChosen(modules: [String])
  /// The kernel was built without it, or is older than 5.13.
  case notBuilt

  /// Asks the running kernel.
  public static func read() -> LandlockStatus {
    switch KernelFeatures.landlock {
    case .available(let version): .available(version: version)
    case .disabled:
      .notChosen(
        modules: ((try? readFile("/sys/kernel/security/lsm")) ?? "").split { $0 == "," || $0 == "\n" }.map(String.init))
    case .absent: .notBuilt
    }
  }

  /// What each ABI brought that sandboxes use.
  static let brought = [
    (2, "moving files between directories"), (3, "truncation"), (4, "TCP ports"),
    (5, "device ioctls"), (6, "abstract sockets and signals"),
  ]

  /// What it means.
  public var finding: Finding {
    switch self {
    case .available(let version):
      let without = Self.brought.filter { $0.0 > version }.map(\.1)
      return Finding(
        "landlock", .ok, "ABI \(version)" + (without.isEmpty ? "" : ", without \(without.joined(separator: ", "))"))
    case .notChosen(let modules):
      let list = (["landlock"] + modules.filter { !["capability", "lockdown"].contains($0) }).joined(separator: ",")
      return Finding(
        "landlock", .limited, "absent: built, but not among this boot's security modules; receipts say so",
        "boot with the kernel parameter lsm=\(list)")
    case .notBuilt:
      return Finding(
        "landlock", .limited, "absent; receipts say so",
        "use a kernel with CONFIG_SECURITY_LANDLOCK (5.13 or newer) if you want this second wall")
    }
  }
}
