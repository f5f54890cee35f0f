import Testing
import YAML

@testable import Agents

private func messages(_ text: String, id: String = "test-agent") -> String? {
  do throws(YAMLErrors) {
    _ = try AgentDefinition.parse(text.utf8, id: id, file: "agents/\(id)/config.yaml")
    return nil
  } catch {
    return error.description
  }
}

@Suite struct DefinitionTests {
  @Test func everyField() throws {
    let text = """
      # All fields of schema 1.0.0
      version: "1.0.0"
      name: claude-coder-9
      display_name: Coder
      description: Writes code
      type: claude-code
      brain: {provider: openai, model: m-1, api_base: https://api.example.com/v1, api_key_env: CODER_KEY, temperature: 0.3, max_tokens: 16000}
      capabilities:
        grants: [github:read, hub:*, "postgres:read:orders", "s3:write:*"]
        skills: [hub-post, hub-search]
        mcp_servers:
          - github
          - {name: clock, command: mcp-server-time, args: [--utc], env: {TZ: UTC}}
        shell: {enabled: true, allowed_commands: [git, npm], blocked_patterns: ["rm -rf", "> /dev"], timeout_seconds: 300}
        spawning: {can_propose: true, allowed_templates: [researcher]}
      interests: {topics: [rust], communities: [m/code-review], keywords: [bug, PR], follow_agents: [ron]}
      behavior:
        respond_to_mentions: true
        respond_to_replies: no
        respond_to_dms: false
        max_iterations: 15
        discovery: {enabled: true, frequency: hourly, respond_to_questions: true, respond_to_discussions: true, min_confidence: 0.8}
        limits: {max_daily_posts: 3, max_daily_comments: 100, max_responses_per_thread: 10, min_interval_seconds: 30}
      memory:
        enabled: true
        remember: {conversations_with: [ron], projects_worked_on: true, decisions_made: true, feedback_received: true}
        max_size_mb: 200
        retrieval: {strategy: recent, max_context_items: 20, relevance_threshold: 0.5}
      sandbox: {profile: coding, memory: 512M, cpus: 0.5, pids: 64, timeout: 2m, memory_high: 256M, cpu_weight: 20,
        io: {read_bps: 1M, write_bps: 2M, read_iops: 3, write_iops: 4}, open_files: 64, file_size: 1M, network: none,
        landlock: required, masked: [/usr/share], deny: [chmod]}
      cache_ttl: 180
      x-owner: team-a
      """
    let agent = try AgentDefinition.parse(text.utf8, id: "claude-coder-9", file: "f")
    var expected = AgentDefinition(id: "claude-coder-9", kind: .claudeCode, brain: .init(model: "m-1"))
    expected.version = "1.0.0"
    expected.displayName = "Coder"
    expected.description = "Writes code"
    expected.brain.provider = .openai
    expected.brain.apiBase = "https://api.example.com/v1"
    expected.brain.apiKeyEnvironment = "CODER_KEY"
    expected.brain.temperature = 0.3
    expected.brain.maxTokens = 16000
    expected.grants = [
      Grant(service: "github", permission: "read"), Grant(service: "hub", permission: "*"),
      Grant(service: "postgres", permission: "read", resource: "orders"),
      Grant(service: "s3", permission: "write", resource: "*"),
    ]
    expected.skills = ["hub-post", "hub-search"]
    expected.mcpServers = [
      .named("github"),
      .inline(name: "clock", command: "mcp-server-time", arguments: ["--utc"], environment: ["TZ": "UTC"]),
    ]
    expected.shell.enabled = true
    expected.shell.allowedCommands = ["git", "npm"]
    expected.shell.blockedPatterns = ["rm -rf", "> /dev"]
    expected.shell.timeout = .seconds(300)
    expected.spawning.canPropose = true
    expected.spawning.allowedTemplates = ["researcher"]
    expected.interests.topics = ["rust"]
    expected.interests.communities = ["m/code-review"]
    expected.interests.keywords = ["bug", "PR"]
    expected.interests.followAgents = ["ron"]
    expected.respondToReplies = false
    expected.respondToDMs = false
    expected.maxIterations = 15
    expected.discovery.enabled = true
    expected.discovery.frequency = .hourly
    expected.discovery.respondToQuestions = true
    expected.discovery.respondToDiscussions = true
    expected.discovery.minConfidence = 0.8
    expected.limits.maxDailyPosts = 3
    expected.limits.maxDailyComments = 100
    expected.limits.maxResponsesPerThread = 10
    expected.limits.minInterval = .seconds(30)
    expected.memory.enabled = true
    expected.memory.conversationsWith = ["ron"]
    expected.memory.projectsWorkedOn = true
    expected.memory.decisionsMade = true
    expected.memory.feedbackReceived = true
    expected.memory.maxSizeMiB = 200
    expected.memory.strategy = .recent
    expected.memory.maxContextItems = 20
    expected.memory.relevanceThreshold = 0.5
    expected.sandbox.profile = "coding"
    expected.sandbox.memoryBytes = 512 << 20
    expected.sandbox.cpus = 0.5
    expected.sandbox.pids = 64
    expected.sandbox.timeout = .seconds(120)
    expected.sandbox.memoryHighBytes = 256 << 20
    expected.sandbox.cpuWeight = 20
    expected.sandbox.readBytesPerSecond = 1 << 20
    expected.sandbox.writeBytesPerSecond = 2 << 20
    expected.sandbox.readsPerSecond = 3
    expected.sandbox.writesPerSecond = 4
    expected.sandbox.openFiles = 64
    expected.sandbox.fileSizeBytes = 1 << 20
    expected.sandbox.withoutNetwork = true
    expected.sandbox.needsLandlock = true
    expected.sandbox.masked = ["/usr/share"]
    expected.sandbox.denied = ["chmod"]
    expected.cacheTTL = .seconds(180)
    #expect(agent == expected)
  }

  /// In the manner of files that have been in use for long: block lists, comments behind values, keys left empty,
  /// colons within words.
  @Test func filesAsOperatorsWriteThem() throws {
    let text = """
      # Agent Configuration - night-watch
      # Version 1.0.0 of the config schema
      version: "1.0.0"

      name: night-watch
      display_name: Night Watch
      description: Watches builds - and says so, when one of them fails
      type: claude-code

      brain:
        provider: anthropic
        model: claude-sonnet-4-20250514
        temperature: 0.8
        max_tokens: 4000

      capabilities:
        grants:
          - hub:read
          - brave:search
        skills:
          - hub-post
        mcp_servers:
          - github  # configured by the operator
          # - kubernetes
        shell:
          enabled: false
          blocked_patterns:
            - "rm -rf /"
            - "> /dev"
        spawning:

      interests:
        topics:
          - m:n-model
        communities:
          - m/general
        follow_agents: []

      behavior:
        respond_to_dms: false
        max_iterations: 3
        discovery:
          enabled: false
        limits:
          max_daily_posts: 10

      memory:
        enabled: true
        remember:
          conversations_with: []

      # Changes should be picked up quickly
      cache_ttl: 60
      """
    let agent = try AgentDefinition.parse(text.utf8, id: "night-watch", file: "f")
    #expect(agent.interests.topics == ["m:n-model"])
    #expect(agent.mcpServers == [.named("github")])
    #expect(agent.spawning == AgentDefinition.Spawning())
    #expect(agent.description == "Watches builds - and says so, when one of them fails")
    #expect(agent.limits.maxDailyComments == 50)
  }

  @Test func shippedExamplesLoadAndHaveNoProblems() async throws {
    let root = "/" + #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
    let source = DirectorySource("\(root)/config/examples/definitions")
    let agents = try await source.list()
    #expect(agents == ["echo-agent", "librarian"])
    for agent in agents {
      let check = AgentCheck(try await source.load(agent), profiles: ["default"])
      #expect(check.problems == [])
    }
  }

  @Test func theLeastThatIsNeeded() throws {
    let text = "name: abc\ntype: native\nbrain: {model: m}\ncapabilities:\n"
    let agent = try AgentDefinition.parse(text.utf8, id: "abc", file: "f")
    #expect(agent == AgentDefinition(id: "abc", kind: .native, brain: .init(model: "m")))
    #expect(agent.cacheTTL == .seconds(300))
    #expect(agent.limits.maxDailyComments == 50)
  }

  @Test(arguments: [
    ("", "1:1: 'name' is missing|1:1: 'type' is missing|1:1: 'brain' is missing|1:1: 'capabilities' is missing"),
    (definition(extra: "brian: {model: x}"), "8:1: unknown key 'brian'; did you mean 'brain'?"),
    (
      definition(extra: "behavior: {max_iterations: 51}"),
      "8:28: 'max_iterations' must be a whole number between 1 and 50, not '51'"
    ),
    (
      definition(extra: "behavior:\n  limits: {max_dayly_posts: 1}"),
      "9:12: unknown key 'max_dayly_posts'; did you mean 'max_daily_posts'?"
    ),
    (definition(extra: "cache_ttl: 10"), "8:12: 'cache_ttl' must be a whole number between 30 and 3600, not '10'"),
    (definition(extra: "version: 1.0"), "8:10: 'version' must be a version such as 1.0.0, not '1.0'"),
    (
      definition(extra: "version: 2.0.0"), "8:10: 'version' is 2.0.0, but only versions 1.x of the schema are read here"
    ),
    (
      definition(extra: "interests: {communities: [general]}"),
      "8:27: 'communities[0]' must be written m/name, not 'general'"
    ),
    (
      definition(extra: "sandbox: {network: gateway, landlock: off, masked: [usr]}"),
      """
      8:20: 'network' must be one of none, not 'gateway'|\
      8:39: 'landlock' must be one of required, not 'off'|\
      8:53: 'masked[0]' must be an absolute path without '.', '..' or '//', not 'usr'
      """
    ),
    (definition(extra: "sandbox: {memory: 1}"), "8:19: 'memory' must be between 1MiB and 16TiB, not '1'"),
    (
      definition(extra: "sandbox: {profile: ../root}"),
      "8:20: 'profile' must be at most 50 lower-case letters, digits and hyphens, not '../root'"
    ),
    (
      definition().replacing("hub:write", with: "hub"),
      "5:22: 'grants[1]' must be service:permission or service:permission:resource, with * as the last part at most, not 'hub'"
    ),
    (
      definition().replacing("[]", with: "[../x]"),
      "6:12: 'skills[0]' must be at most 50 lower-case letters, digits and hyphens, not '../x'"
    ),
    (definition().replacing("[]", with: "[a, a]"), "6:11: 'skills' lists 'a' twice"),
    (
      definition().replacing("skills: []", with: "mcp_servers: [a b, {name: c}]"),
      "6:17: 'mcp_servers' names 'a b'; a name has lower-case letters, digits and hyphens|6:22: 'command' is missing in 'mcp_servers'"
    ),
    (
      definition().replacing("model: none", with: "model: none, temperature: 3"),
      "3:35: 'temperature' must be a number between 0 and 2, not '3'"
    ),
    (
      definition().replacing("model: none", with: "model: none, api_key_env: sk-secret"),
      "3:35: 'api_key_env' must be the name of an environment variable, in capitals, not 'sk-secret'"
    ),
    (
      definition().replacing("model: none", with: "model: none, api_base: api.example.com"),
      "3:32: 'api_base' must be an http:// or https:// URL, not 'api.example.com'"
    ),
    (
      definition().replacing("type: custom", with: "type: gose"),
      "2:7: 'type' must be one of native, claude-code, goose, aider, opencode, codex, custom, not 'gose'"
    ),
    (
      definition().replacing("type: custom", with: "type: goose"),
      "7:11: 'executor' is only for type 'custom'; this agent is of type 'goose'"
    ),
    (
      definition().replacing("executor: {command: /bin/true}", with: ""),
      "2:7: type 'custom' needs 'executor.command': the program to run"
    ),
    (definition("other-agent"), "1:7: 'name' is 'other-agent', but the directory is 'test-agent'; make them the same"),
    (definition("Ab"), "1:7: 'name' must be 3 to 50 lower-case letters, digits and hyphens, not 'Ab'"),
  ])
  func whatIsWrongIsSaidExactly(text: String, expected: String) {
    #expect(
      messages(text)
        == expected.split(separator: "|").map { "agents/test-agent/config.yaml:\($0)" }.joined(separator: "\n"))
  }
}
