import Testing
import YAML

@testable import Agents

@Suite struct SkillTests {
  @Test func everyField() throws {
    let text = """
      ---
      name: hub-post
      description: Post to the Hub
      version: 1.0.0
      author: botburrow
      requires_cli: [gh]
      requires_grants: [hub:write]
      triggers: {keywords: [post], communities: [m/general]}
      mcp: {server: {command: mcp-server-git, args: [--x], env: {A: b}}}
      ---
      # Posting
      """
    let skill = try Skill.parse(Array(text.utf8), name: "hub-post", file: "f")
    var expected = Skill(
      name: "hub-post", description: "Post to the Hub",
      requiresGrants: [Grant(service: "hub", permission: "write")], keywords: ["post"], communities: ["m/general"],
      body: "# Posting")
    expected.version = "1.0.0"
    expected.author = "botburrow"
    expected.requiresCLI = ["gh"]
    expected.server = .init(command: "mcp-server-git", arguments: ["--x"], environment: ["A": "b"])
    #expect(skill == expected)
  }

  @Test(arguments: [
    (
      "# Posting",
      "skills/post/SKILL.md:1:1: the file must begin with a line '---', then keys such as name and description, then '---'"
    ),
    (
      "---\nname: post\nrequire_grants: []\n---\n",
      "skills/post/SKILL.md:3:1: unknown key 'require_grants'; did you mean 'requires_grants'?"
    ),
    (
      "---\nname: other\n---\n",
      "skills/post/SKILL.md:2:7: 'name' is 'other', but the directory is 'post'; make them the same"
    ),
    ("---\ndescription: x\n---\n", "skills/post/SKILL.md:1:1: 'name' is missing"),
    ("---\nname: post\nmcp: {}\n---\n", "skills/post/SKILL.md:3:6: 'server' is missing in 'mcp'"),
  ])
  func whatIsWrongIsSaidExactly(text: String, expected: String) async {
    #expect(await message { try Skill.parse(Array(text.utf8), name: "post", file: "skills/post/SKILL.md") } == expected)
  }
}
