import Glibc
import Linux

/// A tree that a sandbox's root is made of beside the profile's own parts: a directory of the host or an image. What it
/// holds is its maker's word and believed in nothing.
public struct RootSource: Sendable {
  /// What a name in it is.
  public enum Entry: Sendable, Hashable {
    case directory(mode: Int)
    case file(mode: Int)
    case symlink(target: String)
    /// Device, pipe or socket.
    case other
  }
  /// What errors call it.
  public var label: String
  /// Names in one of its directories, each with what it is.
  public var entries: @Sendable (_ directory: String) throws(LinuxError) -> [(name: String, entry: Entry)]
  /// A file's bytes, at most so many.
  public var content: @Sendable (_ file: String, _ limit: Int) throws(LinuxError) -> [UInt8]
}

extension RootPlan {
  /// Shows a tree's entries beside what the profile's own operations make.
  ///
  /// No mount point of ours is ever looked for in the tree: every directory on the way to one is made new, and what else
  /// the tree has in that directory is attached beside it, one by one. So it doesn't matter what the tree has at `/dev`,
  /// `/proc` or `/tmp` (a link to elsewhere, a pipe, a device), or that it has nothing there. Links are made again as they
  /// are: they lead somewhere inside. Devices, pipes and sockets don't show. `/etc` is copied, because our files stand among
  /// its own.
  public static func adding(
    _ source: RootSource, to own: [RootOperation], profile: Profile
  ) throws(LinuxError) -> [RootOperation] {
    var filler = RootFiller(source: source, own: own, profile: profile)
    try filler.fill("/", depth: 0, isCopied: false)
    // A proc comes last: the kernel lets nobody mount one where a part of it is covered. Then the root is closed.
    let end = own.firstIndex { if case .emptyProc = $0 { true } else { $0 == .remountReadOnly } } ?? own.endIndex
    return own[..<end] + [.openSource(source.label)] + filler.operations + [.closeSource] + own[end...]
  }

  /// Where a source stands while its parts are taken, in the new root.
  static let stage = "/.source"
}

private struct RootFiller {
  let source: RootSource
  /// What the profile's own operations make.
  private var directories: Set<String> = []
  private var others: Set<String> = []
  /// Directories of ours in which nothing of the tree shows. It can't have a /sys: the contract has none.
  private var closed: Set<String> = ["/dev", "/proc", "/sys", "/run", "/tmp", RootPlan.stage]
  private(set) var operations: [RootOperation] = []
  private var parts = 0
  private var copied = (entries: 0, bytes: 0)

  // Every mount of a root is copied for each sandbox, and every copied byte is kept in memory.
  private static let partLimit = 1000
  private static let copyLimit = (entries: 4096, bytes: 8 << 20)
  private static let depthLimit = 32

  init(source: RootSource, own: [RootOperation], profile: Profile) {
    self.source = source
    for operation in own {
      switch operation {
      case .directory(let path, _): directories.insert(path)
      case .symlink(let path, _), .file(let path, _, _): others.insert(path)
      case .tree(_, let path): closed.insert(path)
      default: break
      }
    }
    closed.formUnion(profile.scratch.map(\.path) + (profile.workspace.map { [$0.path] } ?? []))
  }

  mutating func fill(_ directory: String, depth: Int, isCopied: Bool) throws(LinuxError) {
    if depth > Self.depthLimit { throw trouble(directory, ELOOP, "it is more than \(Self.depthLimit) levels deep") }
    for (name, entry) in try source.entries(directory) {
      let path = directory == "/" ? "/" + name : "\(directory)/\(name)"
      if closed.contains(path) || others.contains(path) { continue }
      if directories.contains(path) {
        // Ours whatever the tree has there; its entries show only where it has a directory too.
        if case .directory = entry { try fill(path, depth: depth + 1, isCopied: isCopied || path == "/etc") }
      } else if isCopied {
        try copy(path, entry, depth: depth)
      } else {
        try attach(path, entry)
      }
    }
  }

  private mutating func attach(_ path: String, _ entry: RootSource.Entry) throws(LinuxError) {
    switch entry {
    case .directory: operations += [.directory(path, mode: 0o755), .part(path)]
    case .file: operations += [.file(path, mode: 0o444, content: []), .part(path)]
    case .symlink(let target): operations.append(.symlink(path, target: target))
    case .other: break
    }
    parts += 1
    if parts > Self.partLimit {
      throw trouble(
        path, E2BIG, "more than \(Self.partLimit) entries of it would be mounted; put fewer beside each other")
    }
  }

  private mutating func copy(_ path: String, _ entry: RootSource.Entry, depth: Int) throws(LinuxError) {
    copied.entries += 1
    switch entry {
    case .directory(let mode):
      operations.append(.directory(path, mode: mode & 0o755))
      try fill(path, depth: depth + 1, isCopied: true)
    case .file(let mode):
      let content = try source.content(path, Self.copyLimit.bytes)
      copied.bytes += content.count
      operations.append(.file(path, mode: mode & 0o755, content: content))
    case .symlink(let target): operations.append(.symlink(path, target: target))
    case .other: break
    }
    if copied.entries > Self.copyLimit.entries || copied.bytes > Self.copyLimit.bytes {
      let limit = "\(Self.copyLimit.entries) files or \(Self.copyLimit.bytes >> 20) MiB"
      throw trouble(path, EFBIG, "its /etc, which is copied, has more than \(limit)")
    }
  }

  private func trouble(_ path: String, _ code: Int32, _ advice: String) -> LinuxError {
    LinuxError("lay out root", "\(source.label) at \(path)", code: code, advice: advice)
  }
}
