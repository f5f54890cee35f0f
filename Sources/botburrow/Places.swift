import ArgumentParser
import Glibc
import Linux

/// Where things are when nobody says.
enum Places {
  static let socket = "/run/botburrow/supervisor.sock"
  static let workspaces = "/var/lib/botburrow/workspaces"

  /// This program's own file.
  static let executable: String = {
    var buffer = [UInt8](repeating: 0, count: 4096)
    let count = buffer.withUnsafeMutableBytes { bytes in
      bytes.bindMemory(to: CChar.self).baseAddress.map { readlink("/proc/self/exe", $0, bytes.count) } ?? 0
    }
    return String(decoding: buffer[..<max(0, count)], as: UTF8.self)
  }()

  /// The directory that holds this program.
  static var directory: String { executable.split(separator: "/").dropLast().reduce("") { "\($0)/\($1)" } }

  /// botburrow-init: the environment's word, beside us, or where packages put helpers.
  static func initProgram() throws -> String {
    if let path = variable("BOTBURROW_INIT") { return path }
    let places = ["\(directory)/botburrow-init", "\(directory)/../libexec/botburrow/botburrow-init"]
    guard let path = places.first(where: { access($0, X_OK) == 0 }) else {
      throw ValidationError(
        "botburrow-init isn't at \(places.joined(separator: " or ")); set BOTBURROW_INIT to its path")
    }
    return path
  }

  /// botburrow-agent, looked for like botburrow-init; without links, so that it is where it says. Nil: this host has none, and
  /// agents of type native can't run here.
  static var loopProgram: String? {
    let places = [
      variable("BOTBURROW_AGENT"), "\(directory)/botburrow-agent", "\(directory)/../libexec/botburrow/botburrow-agent",
    ].compactMap { $0 }
    guard let path = places.first(where: { access($0, X_OK) == 0 }), let whole = realpath(path, nil) else { return nil }
    defer { free(whole) }
    return String(cString: whole)
  }

  /// The profiles' directory: the option, the environment's word, the system's, or the source tree's that we were built in.
  static func profiles(_ option: String?) throws -> String {
    if let path = option ?? variable("BOTBURROW_PROFILES") { return path }
    let places = [
      "/etc/botburrow/profiles", "\(directory)/../share/botburrow/profiles", "\(directory)/../../../profiles",
    ]
    guard let path = places.first(where: { access("\($0)/default.yaml", R_OK) == 0 }) else {
      throw ValidationError("no profiles at \(places.joined(separator: ", ")); name their directory with --profiles")
    }
    return path
  }

  /// A variable of our environment; nil also where it is empty.
  static func variable(_ name: String) -> String? {
    getenv(name).map { String(cString: $0) }.flatMap { $0.isEmpty ? nil : $0 }
  }
}

/// Writes a line to standard error.
func complain(_ text: String) { writeError("botburrow: \(text)\n") }

/// Writes text to standard output at once; whoever reads a pipe of lines waits for each.
func writeOutput(_ text: String) {
  let bytes = Array(text.utf8)
  _ = write(STDOUT_FILENO, bytes, bytes.count)
}

/// Writes text to standard error as it is. Where that fails there is nobody to tell.
func writeError(_ text: String) {
  let bytes = Array(text.utf8)
  _ = write(STDERR_FILENO, bytes, bytes.count)
}
