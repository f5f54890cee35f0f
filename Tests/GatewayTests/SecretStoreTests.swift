import FoundationEssentials
import Glibc
import Testing

@testable import Gateway

/// A directory that goes with its test.
private final class TemporaryFolder: Sendable {
  let path: String
  init() throws {
    var template = Array("/tmp/botburrow-secrets-XXXXXX".utf8CString)
    guard let made = mkdtemp(&template) else { throw NotInTime() }
    path = String(cString: made)
  }
  deinit { do { try FileManager.default.removeItem(atPath: path) } catch { print("left behind: \(path): \(error)") } }
}

@Suite("Credentials of servers") struct SecretStoreTests {
  private func write(_ path: String, _ text: String, mode: mode_t = 0o600) throws {
    let file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
    guard file >= 0, Glibc.write(file, text, text.utf8.count) == text.utf8.count, fchmod(file, mode) == 0 else {
      throw NotInTime()
    }
    close(file)
  }

  @Test func `Lines are read as they are`() throws {
    let text = "# c\n\nA=1\nexport B = no\n"
    #expect(throws: SecretError("f:4: the name before '=' has other characters than letters, digits and '_'")) {
      try SecretFile.parse(text, file: "f")
    }
    #expect(
      try SecretFile.parse("A=a b=c#d\r\n  export B='x \"y'\nC=\"\"\nD=\"\nE=$HOME", file: "f")
        == ["A": "a b=c#d", "B": "x \"y", "C": "", "D": "\"", "E": "$HOME"])
    for (text, words) in [("A", "f:1: the line is not NAME=value"), ("A=1\nA=2", "f:2: A is there twice")] {
      let error = #expect(throws: SecretError.self) { try SecretFile.parse(text, file: "f") }
      #expect(error?.description == words)
    }
  }

  @Test func `The first directory with a file counts; no file is no secret`() throws {
    let folders = (try TemporaryFolder(), try TemporaryFolder())
    let (first, second) = (folders.0.path, folders.1.path)
    let store = SecretStore(directory: second, environment: ["CREDENTIALS_DIRECTORY": first])
    #expect(try store.secrets(of: "github") == [:])
    try write("\(second)/github.env", "A=2")
    #expect(try store.secrets(of: "github") == ["A": "2"])
    try write("\(first)/github.env", "A=1", mode: 0o440)
    #expect(try store.secrets(of: "github") == ["A": "1"])
    #expect(SecretStore(directory: second, environment: [:]).directories == [second])
    withExtendedLifetime(folders) {}
  }

  @Test func `Files that others can read or write aren't trusted`() throws {
    let folder = try TemporaryFolder()
    let directory = folder.path
    let store = SecretStore(directories: [directory])
    for mode in [0o644, 0o660, 0o604, 0o602, 0o610] as [mode_t] {
      try write("\(directory)/x.env", "TOKEN=hidden", mode: mode)
      let error = #expect(throws: SecretError.self) { try store.secrets(of: "x") }
      #expect(error?.description.contains("chmod 640") == true)
      #expect(error?.description.contains("hidden") == false)
    }
    try write("\(directory)/x.env", "TOKEN=hidden", mode: 0o640)
    #expect(try store.secrets(of: "x") == ["TOKEN": "hidden"])
    if geteuid() == 0 {
      chown("\(directory)/x.env", 12345, 0)
      #expect(throws: SecretError.self) { try store.secrets(of: "x") }
    }
    mkdir("\(directory)/d.env", 0o700)
    #expect(throws: SecretError.self) { try store.secrets(of: "d") }
    withExtendedLifetime(folder) {}
  }
}
