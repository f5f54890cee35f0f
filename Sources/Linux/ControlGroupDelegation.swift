import CLinux

extension ControlGroup {
  /// Whether systemd delegated this group, or the one above it that this one was made in: it marks such groups with an
  /// attribute that only root can set (systemd's "Control Group APIs and Delegation"). Not looked at further up: groups
  /// below a user's manager (`user@1000.service`) are delegated to that manager, not to us.
  public var isDelegated: Bool {
    let mark = "trusted.delegate"
    return cl_has_attribute(path, mark) != 0 || cl_has_attribute(parentPath, mark) != 0
  }

  /// The directory above.
  var parentPath: String { path.lastIndex(of: "/").map { String(path[..<$0]) } ?? "" }

  /// Whether a process has to move into a scope of its own before it may make cgroups. Without systemd nobody else manages
  /// the tree.
  public static func needsScope(hasSystemd: Bool, isInside: Bool, isDelegated: Bool) -> Bool {
    hasSystemd && !isInside && !isDelegated
  }
}
