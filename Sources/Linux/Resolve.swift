import CLinux
import Glibc

/// What a name stands for.
public enum FileKind: Sendable, Hashable {
  case directory
  case file
  case symlink
  /// Device, pipe or socket.
  case other

  /// From `st_mode`.
  public init(mode: mode_t) {
    switch mode & S_IFMT {
    case S_IFDIR: self = .directory
    case S_IFREG: self = .file
    case S_IFLNK: self = .symlink
    default: self = .other
    }
  }
}

extension Descriptor {
  /// Opens what has this path below this directory, which counts as the root: no symbolic link on the way is followed,
  /// those of /proc least of all, and no `..` leaves it (openat2(2)).
  /// - Throws: ELOOP for a link.
  public func openBelow(_ path: String, _ flags: Int32) throws(LinuxError) -> Descriptor {
    defer { withExtendedLifetime(self) {} }
    let resolve = UInt64(CL_RESOLVE_IN_ROOT | CL_RESOLVE_NO_SYMLINKS | CL_RESOLVE_NO_MAGICLINKS)
    return Descriptor(owning: try check(cl_openat2(number, path, flags, resolve), "openat2", path))
  }

  /// The same, to look at it and no more (O_PATH): a link at the end is opened itself, a device or pipe not at all.
  public func pathBelow(_ path: String) throws(LinuxError) -> Descriptor {
    try openBelow(path, Int32(CL_PATH) | O_NOFOLLOW)
  }

  /// fstat(2)
  public func status(_ label: String) throws(LinuxError) -> stat {
    defer { withExtendedLifetime(self) {} }
    var status = stat()
    try check(fstat(number, &status), "fstat", label)
    return status
  }

  /// Where a symbolic link that was opened itself points to.
  public func linkTarget(_ label: String) throws(LinuxError) -> String {
    defer { withExtendedLifetime(self) {} }
    var buffer = [UInt8](repeating: 0, count: 4097)
    let count = buffer.withUnsafeMutableBytes { bytes in
      bytes.bindMemory(to: CChar.self).baseAddress.map { readlinkat(number, "", $0, bytes.count) } ?? -1
    }
    try check(count, "readlink", label)
    return String(decoding: buffer[..<count], as: UTF8.self)
  }

  /// Names in this directory, but itself and its parent, sorted by bytes.
  /// - Throws: EILSEQ for a name that is no UTF-8, E2BIG for more than `limit` names.
  public func names(_ label: String, limit: Int) throws(LinuxError) -> [String] {
    // closedir(3) closes what it was given, so it gets a descriptor of its own.
    let copy = withExtendedLifetime(self) { cl_openat(number, ".", O_RDONLY | O_DIRECTORY, 0) }
    try check(copy, "open", label)
    guard let stream = fdopendir(copy) else {
      let error = LinuxError.last("fdopendir", label)
      Glibc.close(copy)
      throw error
    }
    defer { closedir(stream) }
    var names: [String] = []
    while let entry = readdir(stream) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(validatingCString: $0) }
      }
      guard let name else {
        throw LinuxError("read directory", label, code: EILSEQ, advice: "a name in it isn't UTF-8; rename that")
      }
      if name != "." && name != ".." { names.append(name) }
      if names.count > limit {
        throw LinuxError("read directory", label, code: E2BIG, advice: "at most \(limit) names can be in it")
      }
    }
    return names.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
  }
}
