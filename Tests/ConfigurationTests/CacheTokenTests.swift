import Glibc
import Testing
import YAML

@testable import Configuration

/// The token of `POST /api/v1/cache/invalidate`.
@Suite struct CacheTokenTests {
  private let token = "0123456789abcdef"

  private func read(_ text: String, environment: [String: String] = [:], secrets: Bool = true) throws -> String? {
    try Configuration.parse(text.utf8, file: "c.yaml", environment: environment, secrets: secrets).cacheToken
  }
  private func errors(_ text: String) -> String {
    do throws(YAMLErrors) {
      _ = try Configuration.parse(text.utf8, file: "c.yaml", environment: [:])
      return ""
    } catch {
      return error.description
    }
  }

  @Test func comesFromTheFileTheEnvironmentOrAFileOfItsOwn() throws {
    #expect(try read("log: {level: info}\n") == nil)
    #expect(try read("cache: {token: \(token)}\n") == token)
    #expect(try read("cache: {token: '${TOKEN}'}\n", environment: ["TOKEN": token]) == token)
    var path = Array("/tmp/botburrow-token-XXXXXX".utf8CString)
    let descriptor = mkstemp(&path)
    let name = String(decoding: path.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    defer { unlink(name) }
    let line = Array("\(token)\n".utf8)
    #expect(write(descriptor, line, line.count) == line.count)
    close(descriptor)
    #expect(try read("cache: {token_file: \(name)}\n") == token)
    // Who only looks opens nothing.
    #expect(try read("cache: {token_file: /nonexistent}\n", secrets: false) == "/nonexistent")
  }

  @Test func whatCanBeGuessedIsRefusedAndNotShown() {
    let short = errors("cache:\n  token: secret-word\n")
    #expect(short.contains("c.yaml:2:") && short.contains("at least 16 characters"))
    #expect(!short.contains("secret-word"))
    #expect(errors("cache:\n  token: 'sixteen letters and blanks'\n").contains("without spaces"))
    #expect(errors("cache:\n  token: \(token)\n  token_file: /x\n").contains("'cache' has more than one of"))
    #expect(errors("cache:\n  tokn: x\n").contains("did you mean 'token'"))
  }
}
