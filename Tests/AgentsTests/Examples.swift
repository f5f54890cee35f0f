import Glibc

@testable import Agents

/// A definition with the given lines put in, or over those of the same key.
func definition(_ name: String = "test-agent", extra: String = "") -> String {
  """
  name: \(name)
  type: custom
  brain: {model: none}
  capabilities:
    grants: [hub:read, hub:write]
    skills: []
  executor: {command: /bin/true}
  \(extra)
  """
}

/// A directory of a test's own that goes with it.
final class TemporaryDirectory: Sendable {
  let path: String
  init() throws {
    var template = Array("/tmp/botburrow-agents-XXXXXX".utf8CString)
    guard let made = mkdtemp(&template) else { throw SetupFailure(operation: "mkdtemp", code: errno) }
    path = String(cString: made)
  }
  deinit { remove(path) }

  func write(_ text: String, to relative: String) throws {
    let parts = relative.split(separator: "/")
    for count in 1..<max(parts.count, 1) {
      mkdir(path + "/" + parts[..<count].joined(separator: "/"), 0o755)
    }
    let descriptor = open("\(path)/\(relative)", O_WRONLY | O_CREAT | O_TRUNC, 0o644)
    guard descriptor >= 0 else { throw SetupFailure(operation: "open \(relative)", code: errno) }
    defer { close(descriptor) }
    let bytes = Array(text.utf8)
    guard Glibc.write(descriptor, bytes, bytes.count) == bytes.count else {
      throw SetupFailure(operation: "write \(relative)", code: errno)
    }
  }

  private func remove(_ path: String) {
    if let directory = opendir(path) {
      while let entry = readdir(directory) {
        let name = withUnsafePointer(to: &entry.pointee.d_name) {
          $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
        }
        if name == "." || name == ".." { continue }
        // Links are unlinked, not followed.
        if unlink("\(path)/\(name)") != 0 { remove("\(path)/\(name)") }
      }
      closedir(directory)
    }
    rmdir(path)
  }
}

struct SetupFailure: Error {
  let operation: String
  let code: Int32
}

/// The exact text of what went wrong, or nothing.
func message(_ body: () async throws -> some Any) async -> String? {
  do {
    _ = try await body()
    return nil
  } catch {
    return "\(error)"
  }
}
