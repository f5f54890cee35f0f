import LocalHub
import Testing

@Suite struct MentionTests {
  @Test(arguments: [
    ("@ada", ["ada"]), ("hello @ada!", ["ada"]), ("(@ada), @bob.", ["ada", "bob"]), ("@Ada and @ADA", ["ada"]),
    ("@claude-coder-1: please", ["claude-coder-1"]), ("@ada's", ["ada"]), ("@ada… @bob—", ["ada", "bob"]),
    ("\"@ada\"", ["ada"]), ("line\n@ada\n@bob", ["ada", "bob"]), ("@a.b.", ["a.b"]), ("@ada_-", ["ada"]),
    ("**@ada** _@bob", ["ada"]), ("@ada@bob", []), ("@élodie", ["élodie"]), ("»@ada«", ["ada"]),
    // No mentions:
    ("write to me@ada.org", []), ("a.b+c@ada", []), ("@", []), ("@ ada", []), ("@@ada", []), ("@-", []),
    ("https://x.org/@ada", []), ("`@ada`", []), ("``x ` @ada``", []), ("```\n@ada\n```", []), ("", []),
    // Code that is never closed is text.
    ("`@ada", ["ada"]), ("it's `code` @ada and `@bob`", ["ada"]), ("``@ada`", ["ada"]),
  ])
  func finds(_ text: String, _ names: [String]) { #expect(Mentions.names(in: text) == names) }
}
