import AgentLoop
import Glibc

/// Files of the sandbox, whole. What may be read and written is the sandbox's word, not ours.
enum Files {
  private static let sizeLimit = 10 << 20

  /// A text file's contents and nothing else's: a pipe would hold us up, a device has no end.
  static func text(_ path: String) throws(ToolTrouble) -> String {
    let bytes = try contents(path)
    guard let text = String(validating: bytes, as: UTF8.self) else {
      throw ToolTrouble("\(path) is not text in UTF-8 (\(bytes.count) bytes)")
    }
    return text
  }

  /// A regular file's bytes.
  static func contents(_ path: String) throws(ToolTrouble) -> [UInt8] {
    let file = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC)
    guard file >= 0 else { throw ToolTrouble("\(path) can't be read: \(lastError())") }
    defer { close(file) }
    var status = stat()
    guard fstat(file, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
      throw ToolTrouble("\(path) is \(status.st_mode & S_IFMT == S_IFDIR ? "a directory" : "not a regular file")")
    }
    // Files of /proc say that they are empty; so their ends are found by reading.
    return try readToEnd(file, path, limit: sizeLimit)
  }

  /// Reads until the end.
  static func readToEnd(_ file: Int32, _ name: String, limit: Int) throws(ToolTrouble) -> [UInt8] {
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 64 << 10)
    while true {
      let count = read(file, &buffer, buffer.count)
      if count < 0 {
        if errno == EINTR { continue }
        throw ToolTrouble("\(name) can't be read: \(lastError())")
      }
      if count == 0 { return bytes }
      bytes += buffer[..<count]
      if bytes.count > limit {
        throw ToolTrouble("\(name) has more than \(limit >> 20) MiB; use Bash or Grep for a part of it")
      }
    }
  }

  /// Writes a regular file, with the directories above it.
  static func write(_ text: String, to path: String) throws(ToolTrouble) {
    try makeParents(of: path)
    let file = open(path, O_WRONLY | O_CREAT | O_NONBLOCK | O_CLOEXEC | O_NOCTTY, 0o644)
    guard file >= 0 else { throw ToolTrouble("\(path) can't be written: \(lastError())") }
    defer { close(file) }
    var status = stat()
    guard fstat(file, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
      throw ToolTrouble("\(path) is not a regular file")
    }
    guard ftruncate(file, 0) == 0 else { throw ToolTrouble("\(path) can't be written: \(lastError())") }
    let bytes = Array(text.utf8)
    var written = 0
    while written < bytes.count {
      let count = bytes[written...].withUnsafeBytes { Glibc.write(file, $0.baseAddress, $0.count) }
      if count < 0 {
        if errno == EINTR { continue }
        throw ToolTrouble("\(path) is incomplete: \(lastError())")
      }
      written += count
    }
  }

  private static func makeParents(of path: String) throws(ToolTrouble) {
    var current = path.hasPrefix("/") ? "" : "."
    for part in path.split(separator: "/").dropLast() {
      current += "/\(part)"
      if mkdir(current, 0o755) < 0, errno != EEXIST { throw ToolTrouble("\(current) can't be made: \(lastError())") }
    }
  }

  /// Every regular file below a directory, by its path relative to it; links are not followed. `visit` returns false to
  /// end the walk.
  static func walk(_ root: String, _ visit: (_ relative: String, _ status: stat) -> Bool) throws(ToolTrouble) {
    var pending = [""]
    var isFirst = true
    while let directory = pending.popLast() {
      let path = directory.isEmpty ? root : "\(root)/\(directory)"
      guard let handle = opendir(path) else {
        if isFirst { throw ToolTrouble("\(root) can't be listed: \(lastError())") }
        continue
      }
      isFirst = false
      defer { closedir(handle) }
      var names: [String] = []
      while let entry = readdir(handle) {
        let name = withUnsafePointer(to: &entry.pointee.d_name) {
          $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
        }
        if name != "." && name != ".." { names.append(name) }
      }
      for name in names.sorted() {
        let relative = directory.isEmpty ? name : "\(directory)/\(name)"
        let place = "\(root)/\(relative)"
        var status = stat()
        guard lstat(place, &status) == 0 else { continue }
        switch status.st_mode & S_IFMT {
        // Not the kernel's own trees, which have no end.
        case S_IFDIR:
          if !["//proc", "/proc", "//sys", "/sys", "//dev", "/dev"].contains(place) { pending.append(relative) }
        case S_IFREG: if !visit(relative, status) { return }
        default: break
        }
      }
    }
  }
}
