import Testing
import YAML

@testable import Agents

@Suite struct GrantTests {
  @Test(arguments: ["hub:read", "hub:*", "github:write:owner/repo", "s3:read:*"])
  func goodGrants(text: String) throws {
    #expect(try #require(Grant(parsing: text)).description == text)
  }

  @Test(arguments: [
    "", "hub", "hub:", ":read", "*:read", "hub:*:x", "hub:read:", "Hub:read", "hub:read:a:b", "hub:re*d",
    "hub:read:a b", "hub:read:a*",
  ])
  func badGrants(text: String) {
    #expect(Grant(parsing: text) == nil)
  }

  @Test(arguments: [
    ("hub:read", "hub:read", true), ("hub:read", "hub:write", false), ("hub:read", "github:read", false),
    ("hub:*", "hub:write", true), ("hub:*", "hub:write:post", true), ("hub:*", "github:write", false),
    ("hub:write", "hub:write:post", true), ("hub:write:*", "hub:write:post", true), ("hub:write:*", "hub:write", true),
    ("hub:write:post", "hub:write:post", true), ("hub:write:post", "hub:write:comment", false),
    ("hub:write:post", "hub:write", false), ("hub:write:post", "hub:write:*", false), ("hub:read", "hub:*", false),
  ])
  func covers(held: String, wanted: String, expected: Bool) throws {
    #expect(try #require(Grant(parsing: held)).covers(#require(Grant(parsing: wanted))) == expected)
  }
}
