import Glibc
import Linux

/// Directories for one lesson, gone with `remove`. Not in /tmp: a sandbox has its own in that place, and could not show what is
/// below the host's.
public struct ScratchDirectory: Sendable {
  private let path: String
  /// The recorded command's HOME and working directory.
  public var workspace: String { path + "/workspace" }
  /// Its TMPDIR.
  public var temporary: String { path + "/tmp" }
  /// The recorder, for sandboxes.
  var program: String { path + "/program" }

  /// Makes them; the command's own belong to its user.
  public init(below parent: String = "/var/tmp", owner: Identity) throws(LinuxError) {
    // mkdtemp(3) puts letters in the place of the X.
    var template = Array("\(parent)/botburrow-learn-XXXXXX".utf8CString)
    if mkdtemp(&template) == nil { throw LinuxError.last("mkdtemp", "\(parent)/botburrow-learn-XXXXXX") }
    path = String(decoding: template.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    // Everybody may pass through, nobody else may look.
    if chmod(path, 0o711) < 0 { throw LinuxError.last("chmod", path) }
    for directory in [workspace, temporary] {
      try makeDirectory(directory, owner: (owner.uid, owner.gid), mode: 0o700)
    }
    try makeDirectory(program, owner: (geteuid(), getegid()), mode: 0o755)
  }

  /// A new copy of a directory of profiles, for profiles of ours beside them.
  func profiles(copying directory: String) throws(LinuxError) -> String {
    let copy = path + "/profiles"
    try removeTree(copy)
    try makeDirectory(copy, owner: (geteuid(), getegid()), mode: 0o700)
    for name in try files(in: directory) where name.hasSuffix(".yaml") || name.hasSuffix(".json") {
      let bytes = try Descriptor.open("\(directory)/\(name)").readAll(limit: 4 << 20)
      try Descriptor.open("\(copy)/\(name)", O_WRONLY | O_CREAT | O_EXCL).write(bytes)
    }
    return copy
  }

  func write(_ name: String, _ text: String, in directory: String) throws(LinuxError) {
    try Descriptor.open("\(directory)/\(name).yaml", O_WRONLY | O_CREAT | O_TRUNC).write(text.utf8)
  }

  /// Removes all of it.
  public func remove() throws(LinuxError) { try removeTree(path) }
}
