import Linux

/// One step of laying out a profile's root, in the order in which the supervisor takes it. Paths are of the new root.
public enum RootOperation: Sendable, Hashable {
  case directory(String, mode: Int)
  case symlink(String, target: String)
  case file(String, mode: Int, content: [UInt8])
  /// A recursive, read-only copy of a host path's mount, without setuid and devices.
  case tree(from: String, at: String)
  /// A host's device node.
  case device(String)
  /// A proc of a PID namespace in which nobody is: the kernel lets a sandbox mount its own only where it sees one whole.
  case emptyProc(at: String)
  /// Stages the tree that the profile's `root` names.
  case openSource(String)
  /// Attaches a part of the staged tree at the same path.
  case part(String)
  /// Takes the staged tree away; its parts stay.
  case closeSource
  case remountReadOnly
}

extension RootOperation: CustomStringConvertible {
  /// The operation as errors and golden tests show it.
  public var description: String {
    switch self {
    case .directory(let path, let mode): "make directory \(path) (\(String(mode, radix: 8)))"
    case .symlink(let path, let target): "make symlink \(path) -> \(target)"
    case .file(let path, let mode, let content): "make file \(path) (\(String(mode, radix: 8)), \(content.count) bytes)"
    case .tree(let source, let path):
      source == path ? "attach \(path) read-only" : "attach \(source) on \(path) read-only"
    case .device(let path): "attach device \(path)"
    case .emptyProc(let path): "mount empty proc on \(path)"
    case .openSource(let label): "stage \(label)"
    case .part(let path): "attach its \(path) read-only"
    case .closeSource: "take the staged tree away"
    case .remountReadOnly: "remount / read-only"
    }
  }
}

/// Where the native loop's program is in every sandbox, whatever its root is made of.
public let loopProgramPath = "/run/botburrow/botburrow-agent"

/// The part of a sandbox that is the same for every activation of a profile: everything readable, and the places where
/// what is an activation's own goes. Laid out once, copied by the kernel with each mount namespace.
public enum RootPlan {
  /// What a host path is, as far as the plan must know: a mount point for it must be of the same kind.
  public enum PathKind: Sendable, Hashable {
    case directory
    case file
    case symlink(target: String)
  }

  /// Decides everything; touches nothing.
  /// - Parameters:
  ///   - loop: the host's path of the native loop's program; nil: there is none inside.
  ///   - present: what the host has at a path; nil: nothing.
  public static func make(
    profile: Profile, loop: String? = nil, present: (String) -> PathKind?
  ) -> [RootOperation] {
    var builder = RootBuilder(profile: profile)
    builder.addReadable(present)
    if let loop { builder.addLoop(loop) }
    builder.addDevices()
    builder.addAccounts()
    builder.addPlaces()
    return builder.operations + [.emptyProc(at: "/proc"), .remountReadOnly]
  }
}

private struct RootBuilder {
  let profile: Profile
  var operations: [RootOperation] = []
  private var made: Set<String> = ["/"]

  init(profile: Profile) { self.profile = profile }

  /// From here on no host path is named inside.
  mutating func addReadable(_ present: (String) -> RootPlan.PathKind?) {
    for entry in profile.readOnly {
      switch present(entry.path) {
      case .symlink(let target):
        makeParents(of: entry.path)
        operations.append(.symlink(entry.path, target: target))
      case .file:
        makeParents(of: entry.path)
        operations += [.file(entry.path, mode: 0o444, content: []), .tree(from: entry.path, at: entry.path)]
      case .directory: attachDirectory(entry.path)
      // A required path that is missing fails where it is opened, with its name.
      case nil: if !entry.optional { attachDirectory(entry.path) }
      }
    }
  }

  private mutating func attachDirectory(_ path: String) {
    makeDirectory(path)
    operations.append(.tree(from: path, at: path))
  }

  /// A link where the program shows already, as below the /usr of a profile without a root of its own: a mount fewer to copy
  /// for every sandbox.
  mutating func addLoop(_ program: String) {
    makeParents(of: loopProgramPath)
    let isShown = profile.readOnly.contains { program.hasPrefix($0.path + "/") }
    operations +=
      isShown
      ? [.symlink(loopProgramPath, target: program)]
      : [.file(loopProgramPath, mode: 0o444, content: []), .tree(from: program, at: loopProgramPath)]
  }

  mutating func addDevices() {
    makeDirectory("/dev")
    for name in ["null", "zero", "full", "random", "urandom", "tty"] {
      operations += [.file("/dev/\(name)", mode: 0o444, content: []), .device("/dev/\(name)")]
    }
    for (name, target) in [
      ("fd", "/proc/self/fd"), ("stdin", "fd/0"), ("stdout", "fd/1"), ("stderr", "fd/2"), ("ptmx", "pts/ptmx"),
    ] { operations.append(.symlink("/dev/\(name)", target: target)) }
    makeDirectory("/dev/pts")
  }

  /// The few files of /etc that programs ask for, made new: nothing of the host's accounts shows.
  mutating func addAccounts() {
    makeDirectory("/etc")
    let home = profile.environment["HOME"] ?? "/workspace"
    let files = [
      ("passwd", "root:x:0:0:root:/:/usr/sbin/nologin\nagent:x:\(profile.uid):\(profile.gid):agent:\(home):/bin/sh\n"),
      ("group", "root:x:0:\nagent:x:\(profile.gid):\n"),
      ("hosts", "127.0.0.1 localhost\n\(gatewayAddress) gateway\n"),
      ("nsswitch.conf", "passwd: files\ngroup: files\nhosts: files\n"),
      ("resolv.conf", ""),
      ("hostname", profile.hostname + "\n"),
    ]
    for (name, text) in files {
      operations.append(.file("/etc/\(name)", mode: 0o444, content: Array(text.utf8)))
    }
  }

  /// Where PID 1 mounts what is an activation's own.
  mutating func addPlaces() {
    for path in ["/proc"] + profile.scratch.map(\.path) + (profile.workspace.map { [$0.path] } ?? []) + ["/run/agent"] {
      makeDirectory(path)
    }
  }

  private mutating func makeParents(of path: String) {
    let parts = path.split(separator: "/").dropLast()
    if !parts.isEmpty { makeDirectory("/" + parts.joined(separator: "/")) }
  }

  private mutating func makeDirectory(_ path: String) {
    var current = ""
    for part in path.split(separator: "/") {
      current += "/" + part
      if made.insert(current).inserted { operations.append(.directory(current, mode: 0o755)) }
    }
  }
}
