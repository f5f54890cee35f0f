import Configuration
import Testing
import YAML

@testable import Agents

private func servers(_ text: String) throws -> [String: ServerEntry] {
  try ServerEntry.read(Array(text.utf8), file: "mcp-servers.yaml")
}
private func permissions(_ text: String) throws -> Permissions {
  try Permissions.read(Array(text.utf8), file: "permissions.yaml")
}
private func grant(_ text: String) throws -> Grant { try #require(Grant(parsing: text)) }
private func grants(_ texts: String...) throws -> [Grant] { try texts.map(grant) }

@Suite("The operator's files") struct OperatorTests {
  static let root = #filePath.split(separator: "/").dropLast(3).reduce("") { "\($0)/\($1)" }

  @Test func `The shipped files are read`() throws {
    var places = Configuration.MCP()
    places.servers = Self.root + "/config/mcp-servers.yaml"
    places.permissions = Self.root + "/config/permissions.yaml"
    let files = try OperatorFiles(places)
    #expect(
      files.servers.keys.sorted() == ["brave", "fetch", "filesystem", "git", "github", "postgres", "sqlite", "time"])
    #expect(files.servers["github"]?.secrets == ["GITHUB_TOKEN"])
    #expect(files.servers["brave"]?.hosts.map(\.description) == ["api.search.brave.com:443"])
    #expect(!files.permissions.inlineServers(of: "anybody").allowed)
    #expect(try !files.permissions.held(grants("postgres:write"), by: "anybody").permit(grant("postgres:write")))
  }

  @Test func `Files that nobody named need not be there`() throws {
    var places = Configuration.MCP()
    places.directory = "/nonexistent"
    #expect(try OperatorFiles(places) == OperatorFiles())
    places.servers = "/nonexistent/mcp-servers.yaml"
    #expect(throws: ConfigurationError.unreadable(path: "/nonexistent/mcp-servers.yaml", errno: 2)) {
      try OperatorFiles(places)
    }
  }

  @Test(
    "a catalogue that is wrong is refused with its place",
    arguments: [
      ("servers:\n  hub: {command: x}", "3:3"),
      ("servers:\n  a b: {command: x}", "'a b' can't be a server's name"),
      ("servers:\n  x: {}", "'x' has neither 'command' nor 'url'; give one of them"),
      ("servers:\n  x: {command: a, url: 'http://b'}", "has both 'command' and 'url'"),
      ("servers:\n  x: {url: 'ftp://b'}", "'url' must begin with http:// or https://"),
      ("servers:\n  x: {url: 'http://b', args: [1]}", "'args' is for programs"),
      ("servers:\n  x: {url: 'http://b', hosts: ['a:1']}", "'hosts' is for programs"),
      ("servers:\n  x: {command: a, headers: {A: b}}", "'headers' is for URLs"),
      ("servers:\n  x: {command: a, args: ['--token=${T}']}", "arguments are seen by everybody"),
      ("servers:\n  x: {command: a, env: {A: '${b c}'}}", "has a '${' that isn't ${NAME}"),
      ("servers:\n  x: {command: a, env: {'A-B': c}}", "'A-B' can't be the name of an environment variable"),
      ("servers:\n  x: {command: a, hosts: [github.com]}", "must be HOST:PORT"),
      (
        "servers:\n  x:\n    command: a\n    hosts: ['127.0.0.1:80']",
        "mcp-servers.yaml:4:12: 127.0.0.1:80 is a loopback"
      ),
      ("servers:\n  x: {command: a, private_addresses: [10.0.0.1]}", "opens nothing without 'hosts'"),
      (
        "servers:\n  x: {command: a, private_addresses: [10.0.0.1/8], hosts: ['a:1']}", "must be an address, or a block"
      ),
      ("servers:\n  x: {command: a, tools: {t: read}}", "must be a grant (service:permission)"),
      ("servers:\n  x: {command: a, tools: {t: []}}", "write none to hide the tool"),
      ("servers:\n  x: {command: a, tools: {'a*b': 'x:y'}}", "has a '*' before its end"),
      ("servers:\n  x: {command: a, comand: b}", "unknown key 'comand'; did you mean 'command'?"),
      ("servers:\n  x: {command: a, call_timeout: 5}", "has no unit"),
    ])
  func wrongCatalogue(_ text: String, _ words: String) throws {
    let error = #expect(throws: YAMLErrors.self) { try servers(text) }
    if words == "3:3" {
      #expect(error?.description.contains("'hub' is built in") == true)
    } else {
      #expect(error?.description.contains(words) == true, "\(error.map(String.init(describing:)) ?? "")")
    }
    #expect(error?.description.contains("mcp-servers.yaml:") == true)
  }

  @Test func `What a tool needs: its own line, the longest beginning, else the server's grants`() throws {
    let entry = try #require(
      servers(
        """
        servers:
          github:
            command: x
            grants: [github:read, github:write]
            tools: {get_*: github:read, get_secret_*: none, merge: [github:write, github:merge], create_issue: github:write}
        """)["github"])
    func sees(_ tool: String, _ held: String...) throws -> Bool {
      entry.permits(tool, HeldGrants(allowed: try held.map(grant)))
    }
    #expect(try sees("get_file", "github:read"))
    #expect(try !sees("get_secret_x", "github:*"))
    #expect(try !sees("anything", "github:read"))
    #expect(try !sees("anything", "github:write"))
    #expect(try sees("anything", "github:read", "github:write"))
    #expect(try !sees("merge", "github:write"))
    #expect(try sees("merge", "github:*"))
    #expect(try sees("create_issue", "github:write"))
    #expect(try !sees("create_issue", "github:read"))
    #expect(entry.permitsAny(HeldGrants(allowed: try grants("github:read"))))
    #expect(!entry.permitsAny(HeldGrants(allowed: try grants("gitlab:*"))))
  }

  @Test func `Secrets are places in texts`() throws {
    let text = try #require(SecretText("Bearer ${TOKEN}$$${B}$"))
    #expect(text.secrets == ["TOKEN", "B"])
    #expect(text.filled(["TOKEN": "t", "B": "$x"]) == "Bearer t$$x$")
    #expect(text.filled(["TOKEN": "t"]) == nil)
    for text in ["${", "${}", "${1A}", "${A-B}", "a ${A"] { #expect(SecretText(text) == nil) }
  }
}

@Suite("Permissions") struct PermissionTests {
  @Test func `Without a file everything of a definition holds`() throws {
    #expect(Permissions().held(try grants("a:b", "c:*"), by: "x").allowed == (try grants("a:b", "c:*")))
  }

  @Test func `Definition and policy: what both allow and nobody denies`() throws {
    let policy = try permissions(
      """
      default: {allow: [hub:*, "*:read"], deny: [hub:admin]}
      agents:
        coder-*: {allow: [hub:*, github:*], deny: [github:admin]}
        coder-1: {deny: ["github:write"]}
        loner: {allow: []}
      """)
    func holds(_ agent: String, _ wanted: String, _ asked: String...) throws -> Bool {
      policy.held(try asked.map(grant), by: agent).permit(try grant(wanted))
    }
    #expect(try holds("reader", "github:read", "github:read"))
    #expect(try !holds("reader", "github:write", "github:write"))
    #expect(try holds("reader", "github:read", "github:*"))
    #expect(try !holds("reader", "github:write", "github:*"))
    #expect(try !holds("reader", "hub:admin", "hub:*"))
    #expect(try holds("reader", "hub:write", "hub:*"))
    #expect(try holds("coder-2", "github:write", "github:*"))
    #expect(try !holds("coder-2", "github:admin", "github:*"))
    #expect(try !holds("coder-2", "brave:read", "brave:read"))
    #expect(try !holds("coder-1", "github:write", "github:*"))
    #expect(try holds("coder-1", "github:read", "github:*"))
    #expect(try !holds("loner", "hub:read", "hub:read"))
    #expect(try !holds("coder-2", "github:write", "hub:read"))
  }

  @Test func `Resources narrow`() throws {
    let policy = try permissions("default: {allow: ['github:write:team/repo', 'db:*:*']}")
    let held = policy.held(try grants("github:write", "db:read:t"), by: "x")
    #expect(held.allowed == (try grants("github:write:team/repo", "db:read:t")))
    #expect(try !held.permit(grant("github:write")))
    #expect(try held.permit(grant("github:write:team/repo")))
    // What is denied in part is not permitted as a whole.
    let less = try permissions("default: {deny: ['github:write:team/repo']}").held(grants("github:write"), by: "x")
    #expect(try !less.permit(grant("github:write")))
    #expect(try !less.permit(grant("github:write:team/repo")))
    #expect(try less.permit(grant("github:write:team/other")))
  }

  @Test(
    "wrong files",
    arguments: [
      ("default: {allow: [github]}", "must list grants such as"), ("default: {allow: ['*:*:x']}", "must list grants"),
      ("default: {allow: x}", "'allow' must be a list"), ("agents: {A: {}}", "'A' can't be an agent's name"),
      ("agents: {'a*b': {}}", "'a*b' can't be an agent's name"),
      ("default: {inline_servers: {allow: true}}", "allows programs and names none"),
      ("default: {alow: []}", "did you mean 'allow'?"),
    ])
  func wrong(_ text: String, _ words: String) {
    let error = #expect(throws: YAMLErrors.self) { try permissions(text) }
    #expect(error?.description.contains(words) == true, "\(error.map(String.init(describing:)) ?? "")")
  }
}

@Suite("Which servers an agent has") struct GrantedServersTests {
  private func definition(_ grants: [Grant], _ servers: [AgentDefinition.MCPServer]) -> AgentDefinition {
    var definition = AgentDefinition(id: "coder-1", kind: .native, brain: .init(model: "m"))
    definition.grants = grants
    definition.mcpServers = servers
    return definition
  }
  private let inline = AgentDefinition.MCPServer.inline(
    name: "mine", command: "/bin/mine", arguments: ["x"], environment: ["A": "${HUB_API_KEY}"])

  @Test func `Named, granted and in order; the others with a reason`() throws {
    let files = OperatorFiles(
      servers: try servers(
        "servers: {time: {command: t, grants: ['time:read']}, github: {url: 'http://g', grants: ['github:write']}}"))
    let granted = GrantedServers(
      definition(
        try grants("hub:read", "time:read"), [.named("github"), .named("time"), .named("nope"), .named("hub"), inline]),
      operator: files)
    #expect(granted.hasHub)
    #expect(granted.servers.map(\.name) == ["time"])
    #expect(granted.missing.map(\.name) == ["github", "nope", "mine"])
    #expect(granted.missing[0].reason.contains("github:write"))
    #expect(granted.missing[1].reason.contains("known here: github, hub, time"))
    #expect(granted.missing[2].reason.contains("permissions.yaml doesn't let this agent start '/bin/mine'"))
    #expect(
      granted.words.contains { $0.hasPrefix("tools of time: t in a sandbox of its own, which reaches no network") })
  }

  @Test func `A program of a definition: where the policy lets it, without anything secret`() throws {
    var files = OperatorFiles(servers: try servers("servers: {time: {command: t}}"))
    files.permissions = try permissions("default: {inline_servers: {allow: true, commands: [/bin/mine]}}")
    let granted = GrantedServers(definition(try grants("mine:use"), [inline]), operator: files)
    let entry = try #require(granted.servers.first)
    #expect(!entry.isOperators)
    #expect(entry.secrets == [])
    guard case .program(_, _, let environment) = entry.place else { throw Unexpected() }
    #expect(environment["A"]?.filled(["HUB_API_KEY": "secret"]) == "${HUB_API_KEY}")
    // It can't take the place of one of the operator's, whose secrets it would get.
    let thief = AgentDefinition.MCPServer.inline(name: "time", command: "/bin/mine", arguments: [], environment: [:])
    #expect(GrantedServers(definition(try grants("time:use"), [thief]), operator: files).servers == [])
    let other = AgentDefinition.MCPServer.inline(name: "other", command: "/bin/sh", arguments: [], environment: [:])
    #expect(GrantedServers(definition(try grants("other:use"), [other]), operator: files).servers == [])
  }

  @Test func `The check says in words what there is and why not`() throws {
    let files = OperatorFiles(
      servers: try servers(
        "servers: {github: {command: g, hosts: ['api.github.com:443'], grants: ['github:write'], tools: {get_x: 'github:read'}}}"
      ),
      permissions: try permissions("default: {deny: ['github:write']}"))
    let agent = LoadedAgent(
      definition: definition(try grants("github:*", "github:write"), [.named("github"), .named("brave")]),
      systemPrompt: "p",
      skills: [])
    let check = AgentCheck(agent, operator: files)
    #expect(
      check.problems == [
        "config.yaml: MCP server 'brave': it isn't in the operator's mcp-servers.yaml; known here: github, hub",
        "config.yaml: grant 'github:write' doesn't hold: permissions.yaml denies it to 'coder-1'",
      ])
    #expect(check.summary.contains("may use: github:*, but not github:write"))
    #expect(
      check.summary.contains(
        "tools of github: g in a sandbox of its own, which reaches api.github.com:443; only get_x"))
  }
}

private struct Unexpected: Error {}
