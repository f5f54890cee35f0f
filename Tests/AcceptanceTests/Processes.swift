import Glibc
import Linux

/// What /proc says of processes.
enum Processes {
  static var all: [pid_t] {
    ((try? directories(in: "/proc")) ?? []).compactMap { pid_t($0) }
  }

  /// Those whose command line holds a text.
  static func naming(_ text: String) -> [pid_t] {
    all.filter { $0 != getpid() && commandLine($0).contains(text) }
  }

  static func commandLine(_ pid: pid_t) -> String {
    ((try? readFile("/proc/\(pid)/cmdline")) ?? "").replacing("\0", with: " ")
  }

  /// Whether it exists and is no zombie.
  static func lives(_ pid: pid_t) -> Bool {
    guard let text = try? readFile("/proc/\(pid)/stat"), let end = text.lastIndex(of: ")") else { return false }
    return text[end...].dropFirst(2).first != "Z"
  }

  static func parent(_ pid: pid_t) -> pid_t? {
    guard let text = try? readFile("/proc/\(pid)/stat"), let end = text.lastIndex(of: ")") else { return nil }
    let fields = text[end...].dropFirst(2).split(separator: " ")
    return fields.count > 1 ? pid_t(fields[1]) : nil
  }

  static func children(of pid: pid_t) -> [pid_t] { all.filter { parent($0) == pid } }

  static func descendants(of pid: pid_t) -> [pid_t] {
    children(of: pid).flatMap { [$0] + descendants(of: $0) }
  }

  /// Those in any of these namespaces, given by inode.
  static func inNamespaces(_ inodes: Set<UInt64>) -> [pid_t] {
    all.filter { lives($0) && !inodes.isDisjoint(with: namespaceIDs(pid: "\($0)").values) }
  }
}
