import Testing
import YAML

@testable import Agents

@Suite struct AgentCheckTests {
  @Test func nothingToComplainAbout() throws {
    let definition = try AgentDefinition.parse(definition().utf8, id: "test-agent", file: "f")
    let check = AgentCheck(
      LoadedAgent(definition: definition, systemPrompt: "x", skills: []), profiles: ["default"])
    #expect(check.problems == [])
    #expect(
      check.summary == [
        "test-agent: runs /bin/true", "activated by: mentions, replies, direct messages",
        "may use: hub:read, hub:write", "MCP servers: nothing; skills: nothing",
        "in one activation: at most 10 turns, files in /workspace that are gone afterwards",
        "shell: no; sandbox profile: default", "at most 5 posts and 50 comments a day, 3 in a thread",
        "tools of hub: the built-in server, called by the runner with the Hub's key",
      ])
  }

  @Test func everyProblem() throws {
    var definition = AgentDefinition(id: "test-agent", kind: .goose, brain: .init(model: "m"))
    definition.grants = [Grant(service: "hub", permission: "read")]
    definition.mcpServers = [.named("hub"), .named("github")]
    definition.sandbox.profile = "missing"
    definition.shell.enabled = true
    definition.shell.allowedCommands = ["git"]
    let skill = Skill(name: "post", requiresGrants: [Grant(service: "hub", permission: "write")], body: "")
    let check = AgentCheck(
      LoadedAgent(definition: definition, systemPrompt: "", skills: [skill], file: "agents/test-agent/config.yaml"),
      profiles: ["default", "coding"])
    #expect(
      check.problems
        == [
          "MCP server 'github': it isn't in the operator's mcp-servers.yaml; known here: hub",
          "skill 'post' requires grant 'hub:write', which the agent doesn't hold",
          "sandbox profile 'missing' doesn't exist; there are: coding, default",
          "system-prompt.md is missing or empty",
        ].map { "agents/test-agent/config.yaml: \($0)" })
    #expect(check.summary.contains("test-agent: is run by goose with model m"))
    #expect(check.summary.contains("shell: git, 120 s each; sandbox profile: missing"))
  }

  @Test func whatItAsksOfItsSandbox() throws {
    var definition = try AgentDefinition.parse(definition().utf8, id: "test-agent", file: "f")
    definition.sandbox.withoutNetwork = true
    let check = AgentCheck(
      LoadedAgent(definition: definition, systemPrompt: "x", skills: [], file: "f"),
      profiles: ["default"], sandbox: { ["'pids' is \($0.sandbox.pids ?? 0), more than there are"] })
    #expect(
      check.problems == [
        "f: 'sandbox.network' is none, but its tool servers need the gateway; take one of them away",
        "f: 'pids' is 0, more than there are",
      ])
  }

  @Test func aScriptIsSummedUpInOneLine() {
    #expect(oneLine(["/bin/sh", "-c", "echo a"]) == "/bin/sh -c echo a")
    #expect(oneLine(["/usr/bin/python3", "-c", "import os\nprint(1)\n"]) == "/usr/bin/python3 -c import os…")
  }
}
