import Glibc
import Linux

/// What `scripts/tools.sh` could install, and why not the rest.
struct Installed: Sendable {
  /// What came of one.
  enum State: String, Sendable {
    case installed
    /// It can't be had here: the registry doesn't have it, or can't be reached.
    case unavailable
    /// It could be had, and something went wrong.
    case broken
  }
  let prefix: String
  private let notes: [String: (state: State, note: String)]

  /// Reads `PREFIX/status`: lines of name, state and version or reason, between tabs. Without that file nothing is known.
  init(prefix: String) throws {
    self.prefix = prefix
    var notes: [String: (State, String)] = [:]
    if access("\(prefix)/status", F_OK) == 0 {
      for line in try readFile("\(prefix)/status").split(separator: "\n") {
        let words = line.split(separator: "\t", omittingEmptySubsequences: false).map(String.init)
        guard words.count == 3, let state = State(rawValue: words[1]) else {
          throw ToolsError(description: "\(prefix)/status has the line '\(line)'; run scripts/tools.sh again")
        }
        notes[words[0]] = (state, words[2])
      }
    }
    self.notes = notes
  }

  /// Whether its program is there.
  func has(_ program: String) -> Bool { access("\(prefix)/bin/\(program)", X_OK) == 0 }

  /// Of one that isn't there: why it can't be had; nil where it should be there.
  func reason(_ name: String) -> String? {
    notes[name].flatMap { $0.state == .unavailable ? $0.note : nil }
  }

  /// Of one that should be there and isn't.
  func trouble(_ name: String) -> String {
    notes[name].map { "it is not installed: \($0.note)" } ?? "it is not in \(prefix); run scripts/tools.sh"
  }
}
