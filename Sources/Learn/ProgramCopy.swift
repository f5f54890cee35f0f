import Glibc
import Linux

/// This program with the libraries that the host's own directories don't hold, in a directory that a sandbox can show.
enum ProgramCopy {
  /// Copies; gives the path of the program. Its libraries are found with LD_LIBRARY_PATH.
  static func make(in directory: String) throws(LinuxError) -> String {
    let program = "\(directory)/program"
    try copy("/proc/self/exe", to: program)
    for library in libraries(maps: try readFile("/proc/self/maps", limit: 16 << 20)) {
      try copy(library, to: "\(directory)/\(library.split(separator: "/").last ?? "")")
    }
    return program
  }

  /// Mapped libraries outside /usr and /lib, from the text of proc_pid_maps(5).
  static func libraries(maps: String) -> [String] {
    var found: [String] = []
    for line in maps.split(separator: "\n") {
      guard let start = line.firstIndex(of: "/") else { continue }
      let path = String(line[start...])
      let isSystem = ["/usr/", "/lib/", "/lib64/"].contains { path.hasPrefix($0) }
      if !isSystem, path.hasSuffix(".so") || path.contains(".so."), !found.contains(path) { found.append(path) }
    }
    return found
  }

  private static func copy(_ path: String, to target: String) throws(LinuxError) {
    let source = try Descriptor.open(path)
    let copy = try Descriptor.open(target, O_WRONLY | O_CREAT | O_EXCL, mode: 0o755)
    try withExtendedLifetime((source, copy)) { () throws(LinuxError) in
      while true {
        let count = sendfile(copy.number, source.number, nil, 1 << 30)
        if count < 0 { throw LinuxError.last("sendfile", path) }
        if count == 0 { return }
      }
    }
  }
}
