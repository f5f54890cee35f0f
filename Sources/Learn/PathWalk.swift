import Glibc

/// What is at a path, as far as the walk must know.
public struct FileEntry: Sendable, Hashable {
  /// Its kind.
  public enum Kind: Sendable, Hashable {
    case directory
    case file
    case link(target: String)
    /// A device, pipe or socket.
    case other
  }
  /// What it is.
  public var kind: Kind
  /// Permission bits of chmod(2).
  public var mode: UInt32
  /// Owner.
  public var uid: uid_t
  /// Group.
  public var gid: gid_t
  /// Puts one together.
  public init(_ kind: Kind, mode: UInt32 = 0o755, uid: uid_t = 0, gid: gid_t = 0) {
    (self.kind, self.mode, self.uid, self.gid) = (kind, mode, uid, gid)
  }

  /// The entry itself, not what a link points to; nil where there is none or nobody may look.
  public static func at(_ path: String) -> FileEntry? {
    var status = stat()
    if lstat(path, &status) < 0 { return nil }
    let kind: Kind
    switch status.st_mode & S_IFMT {
    case S_IFDIR: kind = .directory
    case S_IFREG: kind = .file
    case S_IFLNK:
      var buffer = [UInt8](repeating: 0, count: 4096)
      let count = buffer.withUnsafeMutableBytes { bytes in
        bytes.bindMemory(to: CChar.self).baseAddress.map { readlink(path, $0, bytes.count) } ?? -1
      }
      kind = count > 0 ? .link(target: String(decoding: buffer[..<count], as: UTF8.self)) : .other
    default: kind = .other
    }
    return FileEntry(kind, mode: status.st_mode & 0o7777, uid: status.st_uid, gid: status.st_gid)
  }
}

/// Who asks. ACLs and capabilities are not looked at: a path more or less, which the reader of a profile sees.
public struct Identity: Sendable, Hashable {
  /// Effective user.
  public var uid: uid_t
  /// Effective group; there are no others.
  public var gid: gid_t
  /// Names both.
  public init(uid: uid_t, gid: gid_t) { (self.uid, self.gid) = (uid, gid) }

  /// Who owns nothing.
  static let nobody = Identity(uid: 65534, gid: 65534)

  /// Whether the permission bits let this identity do it: 4 read, 2 write, 1 execute or enter.
  public func may(_ bit: UInt32, _ entry: FileEntry) -> Bool {
    if uid == 0 { return true }
    let shift: UInt32 = entry.uid == uid ? 6 : entry.gid == gid ? 3 : 0
    return entry.mode >> shift & bit == bit
  }
}

/// A path followed to its end.
public struct PathWalk: Sendable, Hashable {
  /// Where the symbolic links on the way lie: without them the way doesn't exist.
  public var links: [String] = []
  /// The end, with no link, `.` or `..` in it.
  public var path = "/"
  /// What is there; nil: nothing.
  public var entry: FileEntry?
  /// What the directory that holds it is like.
  public var parent: FileEntry?

  /// Goes. Nil where it doesn't lead anywhere: a directory on the way isn't there or may not be entered, or links go round.
  /// What lies below /proc means something else to every process, so it is taken as it is written.
  /// - Parameters:
  ///   - base: absolute, where a relative path starts.
  ///   - entry: the file system.
  public static func follow(
    _ text: String, from base: String, followsLast: Bool, as identity: Identity, entry: (String) -> FileEntry?
  ) -> PathWalk? {
    var walk = PathWalk()
    var rest = Array((text.hasPrefix("/") ? text : base + "/" + text).split(separator: "/").map(String.init).reversed())
    walk.entry = entry("/")
    while let part = rest.popLast() {
      if part == "." { continue }
      if part == ".." {
        walk.path = parentPath(walk.path)
        walk.entry = entry(walk.path)
        continue
      }
      guard let directory = walk.entry, directory.kind == .directory, identity.may(1, directory) else { return nil }
      let next = walk.path == "/" ? "/" + part : walk.path + "/" + part
      if next == "/proc" {
        walk.path = ([next] + rest.reversed()).joined(separator: "/")
        walk.entry = FileEntry(.other)
        return walk
      }
      let found = entry(next)
      if let found, case .link(let target) = found.kind, !rest.isEmpty || followsLast {
        if walk.links.count >= 40 { return nil }
        walk.links.append(next)
        if target.hasPrefix("/") {
          walk.path = "/"
          walk.entry = entry("/")
        }
        rest += target.split(separator: "/").map(String.init).reversed()
        continue
      }
      walk.parent = directory
      walk.path = next
      walk.entry = found
      if found == nil && !rest.isEmpty { return nil }
    }
    return walk
  }
}

/// `/a/b` of `/a/b/c`.
func parentPath(_ path: String) -> String {
  let parts = path.split(separator: "/").dropLast()
  return "/" + parts.joined(separator: "/")
}

/// Whether a path is this directory or something below it.
func isWithin(_ path: String, _ directory: String) -> Bool {
  directory == "/" || path == directory || path.hasPrefix(directory + "/")
}
