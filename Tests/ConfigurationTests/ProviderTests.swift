import Glibc
import Testing
import YAML

@testable import Configuration

/// What operators write under `providers`, and what they are told where it is wrong.
@Suite("Providers of models") struct ProviderTests {
  private func read(_ text: String, environment: [String: String] = [:]) throws -> [String: ModelProvider] {
    try Configuration.parse(text.utf8, file: "c.yaml", environment: environment).providers
  }

  private func errors(_ text: String, environment: [String: String] = [:]) -> String {
    do throws(YAMLErrors) {
      _ = try Configuration.parse(text.utf8, file: "c.yaml", environment: environment)
      return ""
    } catch {
      return error.description
    }
  }

  /// A folder with one file, which is gone after `body`.
  private func withFile(_ content: String, _ body: (_ folder: String, _ name: String) throws -> Void) throws {
    var template = Array("/tmp/botburrow-provider-XXXXXX".utf8CString)
    let folder = try #require(
      template.withUnsafeMutableBufferPointer { buffer in
        buffer.baseAddress.flatMap { mkdtemp($0) }.map { String(cString: $0) }
      })
    let file = try #require(fopen("\(folder)/key", "w"))
    fputs(content, file)
    fclose(file)
    defer {
      unlink("\(folder)/key")
      rmdir(folder)
    }
    try body(folder, "key")
  }

  @Test func `Well-known names need no address, others do`() throws {
    let providers = try read("providers:\n  anthropic: {key: a}\n  own: {api_base: 'http://10.0.0.1:1234/v1/'}\n")
    #expect(providers["anthropic"]?.apiBase == "https://api.anthropic.com")
    #expect(providers["anthropic"]?.dialects == [.anthropic])
    #expect(providers["anthropic"]?.key == "a")
    #expect(providers["own"]?.apiBase == "http://10.0.0.1:1234/v1")
    #expect(providers["own"]?.dialects == [.openAIChat])
    #expect(providers["own"]?.key == nil)
    #expect(errors("providers:\n  own: {key: a}\n").contains("api_base"))
  }

  @Test func `A key comes from a file, without the line break`() throws {
    try withFile("file-key\n") { folder, name in
      let key = try read("providers:\n  anthropic: {key_file: \(folder)/\(name)}\n")["anthropic"]?.key
      #expect(key == "file-key")
    }
  }

  @Test(arguments: ["", "\n", "two words\n"]) func `A file that isn't a key is named, not shown`(content: String) throws
  {
    try withFile(content) { folder, name in
      let told = errors("providers:\n  anthropic:\n    key_file: \(folder)/\(name)\n")
      #expect(told.contains("c.yaml:3:") && told.contains("\(folder)/\(name) must hold a key and nothing else"))
      #expect(!told.contains("words"))
    }
  }

  @Test func `A file that isn't there says so at its place`() {
    let told = errors("providers:\n  anthropic:\n    key_file: /nonexistent/key\n")
    #expect(told.contains("c.yaml:3:"))
    #expect(told.contains("/nonexistent/key can't be read: No such file or directory"))
  }

  @Test func `A credential is a file of systemd's folder`() throws {
    try withFile("credential-key") { folder, name in
      let text = "providers:\n  anthropic:\n    credential: \(name)\n"
      let given = ["CREDENTIALS_DIRECTORY": folder]
      let key = try read(text, environment: given)["anthropic"]?.key
      #expect(key == "credential-key")
      let without = errors(text)
      #expect(without.contains("c.yaml:3:") && without.contains("add LoadCredential= to the unit"))
      let outside = errors("providers:\n  anthropic:\n    credential: ../key\n", environment: given)
      #expect(outside.contains("c.yaml:3:") && outside.contains("must be a name without '/'"))
    }
  }

  @Test func `One place of a key is enough`() {
    let told = errors("providers:\n  anthropic:\n    key: secret-a\n    key_file: /k\n")
    #expect(told.contains("c.yaml:3:") && told.contains("leave one"))
    #expect(!told.contains("secret-a"))
  }

  @Test func `Prices are by model, the longest pattern counts, caches cost like input unless told`() throws {
    let provider = try #require(
      try read(
        """
        providers:
          anthropic:
            prices:
              claude-*: {input: 3, output: 15}
              claude-haiku-*: {input: 1, output: 5, cache_read: 0.1, cache_write: 1.25}
        """)["anthropic"])
    #expect(provider.price(of: "claude-opus") == ModelPrice(input: 3, output: 15))
    #expect(provider.price(of: "claude-opus")?.cacheRead == 3)
    #expect(
      provider.price(of: "claude-haiku-9") == ModelPrice(input: 1, output: 5, cacheRead: 0.1, cacheWrite: 1.25))
    #expect(provider.price(of: "gpt") == nil)
  }

  @Test(
    arguments: [
      ("prices:\n      m: {input: 1}", "c.yaml:4:", "output"),
      ("prices:\n      m: {input: -1, output: 1}", "c.yaml:4:", "input"),
      ("retries: 11", "c.yaml:3:", "retries"), ("max_concurrent: 0", "c.yaml:3:", "max_concurrent"),
      ("dialects: [latin]", "c.yaml:3:", "latin"), ("dialects: []", "c.yaml:3:", "empty"),
      ("api_base: 'https://user@x'", "c.yaml:3:", "without a query or a password"),
      ("kye: x", "c.yaml:3:", "kye"),
    ])
  func `What is wrong is told with its place`(line: String, place: String, word: String) {
    let told = errors("providers:\n  anthropic:\n    \(line)\n")
    #expect(told.contains(place) && told.contains(word), "\(told)")
  }
}
