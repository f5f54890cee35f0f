import Leftovers
import Linux

/// The shipped default profile with other parts, as a test needs it.
enum TestProfile {
  /// - Parameters:
  ///   - adding: YAML text, of keys that the file hasn't got.
  ///   - readOnly: paths in place of the file's; nil leaves those.
  static func text(adding: String = "", readOnly: [String]? = nil) throws -> String {
    var lines: [Substring] = []
    var isSkipping = false
    for line in try readFile(Repository.profiles + "/default.yaml").split(separator: "\n") where !line.hasPrefix("#") {
      if !line.hasPrefix(" ") { isSkipping = readOnly != nil && line.hasPrefix("read_only:") }
      // A path is scratch or workspace.
      let isTaken = adding.contains("workspace:") && line.contains("path: /workspace,")
      if !isSkipping && !isTaken { lines.append(line) }
    }
    let paths = readOnly.map { "\nread_only: [\($0.joined(separator: ", "))]" } ?? ""
    return lines.joined(separator: "\n") + paths + "\n" + adding + "\n"
  }
}
