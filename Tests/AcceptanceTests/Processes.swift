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

  /// Those in any of these that are held.
  static func inNamespaces(_ namespaces: Namespaces) -> [pid_t] {
    all.filter { pid in
      namespaceIDs(pid: "\(pid)").values.contains(where: namespaces.held.keys.contains) && lives(pid)
    }
  }
}

/// Namespaces that are not this process's own, to be looked for after their end.
struct Namespaces {
  /// By inode.
  let all: Set<UInt64>
  /// Held open by inode: the kernel would give the number of one that ended to the next sandbox of another test.
  let held: [UInt64: Descriptor]

  /// - Parameter kinds: which to hold. Held networks keep their links.
  init(of pids: [pid_t], holding kinds: [String]) {
    all = Set(pids.flatMap { namespaceIDs(pid: "\($0)").values }).subtracting(namespaceIDs(pid: "self").values)
    var held: [UInt64: Descriptor] = [:]
    for (pid, kind) in pids.flatMap({ pid in kinds.map { (pid, $0) } }) {
      var status = stat()
      // One that ended meanwhile has none.
      guard let descriptor = try? Descriptor.open("/proc/\(pid)/ns/\(kind)"), fstat(descriptor.number, &status) == 0,
        all.contains(UInt64(status.st_ino))
      else { continue }
      held[UInt64(status.st_ino)] = descriptor
    }
    self.held = held
  }
}
