import YAML

extension AgentDefinition {
  /// Reads `config.yaml`. Everything that is wrong with it is reported at once.
  /// - Parameters:
  ///   - id: the name of the directory, which `name` must repeat: grants, limits and the Hub's account hang on it.
  ///   - file: how errors name the file.
  public static func parse(
    _ bytes: some Sequence<UInt8>, id: String, file: String
  ) throws(YAMLErrors) -> AgentDefinition {
    // No environment: a definition is written by people who need not see the runner's secrets.
    try YAML.read(bytes, file: file) { root in
      let name = root.required("name", .agentID)
      if root.node("name") != nil, isID(name), name != id {
        root.report("name", "'name' is '\(name)', but the directory is '\(id)'; make them the same")
      }
      let kind = root.required("type", .oneOf(Kind.self, else: .custom))
      let brain = root.requiredMapping("brain", readBrain) ?? Brain(model: "")
      var agent = AgentDefinition(id: name, kind: kind, brain: brain)
      agent.version = root.optional("version", .schemaVersion)
      agent.displayName = root.optional("display_name", .string)
      agent.description = root.optional("description", .string)
      agent.cacheTTL = .seconds(root.value("cache_ttl", .int(in: 30...3600), default: 300))
      _ = root.requiredMapping("capabilities") { readCapabilities($0, into: &agent) }
      root.mapping("interests") { agent.interests = readInterests($0) }
      root.mapping("behavior") { readBehavior($0, into: &agent) }
      root.mapping("memory") { agent.memory = readMemory($0) }
      agent.executor = readExecutor(root, kind)
      root.mapping("sandbox") { agent.sandbox = readSandbox($0) }
      return agent
    }
  }

  private static func readBrain(_ reader: MappingReader) -> Brain {
    var brain = Brain(model: reader.required("model", .nonEmptyString))
    brain.provider = reader.value(
      "provider", .oneOf(Brain.Provider.self, else: .anthropic), default: brain.provider)
    brain.apiBase = reader.optional("api_base", .nonEmptyString)
    if let base = brain.apiBase, !base.hasPrefix("http://"), !base.hasPrefix("https://") {
      reader.report("api_base", "'api_base' must be an http:// or https:// URL, not '\(base)'")
    }
    brain.apiKeyEnvironment = reader.optional("api_key_env", .variableName)
    brain.temperature = reader.optional("temperature", .double(in: 0...2))
    brain.maxTokens = reader.optional("max_tokens", .int(in: 100...128_000))
    return brain
  }

  private static func readCapabilities(_ reader: MappingReader, into agent: inout AgentDefinition) {
    agent.grants = reader.value("grants", .list(of: .grant), default: [])
    agent.skills = reader.value("skills", .list(of: .skillName), default: [])
    agent.mcpServers = reader.elements("mcp_servers") { readServer($0, reader) }
    reportRepeated(agent.mcpServers.map(\.name), "mcp_servers", reader)
    reportRepeated(agent.skills, "skills", reader)
    var shell = Shell()
    reader.mapping("shell") { reader in
      shell.enabled = reader.value("enabled", .bool, default: false)
      shell.allowedCommands = reader.value("allowed_commands", .stringList, default: [])
      shell.blockedPatterns = reader.value("blocked_patterns", .stringList, default: [])
      shell.timeout = .seconds(reader.value("timeout_seconds", .int(in: 1...3600), default: 120))
    }
    agent.shell = shell
    reader.mapping("spawning") { reader in
      agent.spawning.canPropose = reader.value("can_propose", .bool, default: false)
      agent.spawning.allowedTemplates = reader.value("allowed_templates", .stringList, default: [])
    }
  }

  private static func readServer(_ node: YAMLNode, _ reader: MappingReader) -> MCPServer? {
    if let name = node.text {
      guard isName(name) else {
        reader.report(
          at: node.position, "'mcp_servers' names '\(name)'; a name has lower-case letters, digits and hyphens")
        return nil
      }
      return .named(name)
    }
    return reader.nested(node, named: "mcp_servers") { reader in
      .inline(
        name: reader.required("name", .skillName), command: reader.required("command", .nonEmptyString),
        arguments: reader.value("args", .stringList, default: []),
        environment: reader.value("env", .stringMap, default: [:]))
    }
  }

  private static func reportRepeated(_ names: [String], _ key: String, _ reader: MappingReader) {
    var seen: Set<String> = []
    for name in names where !seen.insert(name).inserted {
      reader.report(key, "'\(key)' lists '\(name)' twice")
    }
  }

  private static func readInterests(_ reader: MappingReader) -> Interests {
    var interests = Interests()
    interests.topics = reader.value("topics", .stringList, default: [])
    interests.communities = reader.value("communities", .list(of: .community), default: [])
    interests.keywords = reader.value("keywords", .stringList, default: [])
    interests.followAgents = reader.value("follow_agents", .stringList, default: [])
    return interests
  }

  private static func readBehavior(_ reader: MappingReader, into agent: inout AgentDefinition) {
    agent.respondToMentions = reader.value("respond_to_mentions", .bool, default: true)
    agent.respondToReplies = reader.value("respond_to_replies", .bool, default: true)
    agent.respondToDMs = reader.value("respond_to_dms", .bool, default: true)
    agent.maxIterations = reader.value("max_iterations", .int(in: 1...50), default: 10)
    var discovery = Discovery()
    reader.mapping("discovery") { reader in
      discovery.enabled = reader.value("enabled", .bool, default: false)
      discovery.frequency = reader.value(
        "frequency", .oneOf(Discovery.Frequency.self, else: .staleness), default: .staleness)
      discovery.respondToQuestions = reader.value("respond_to_questions", .bool, default: false)
      discovery.respondToDiscussions = reader.value("respond_to_discussions", .bool, default: false)
      discovery.minConfidence = reader.value("min_confidence", .double(in: 0...1), default: 0.7)
    }
    agent.discovery = discovery
    var limits = Limits()
    reader.mapping("limits") { reader in
      let count = YAMLKind<Int>.int(in: 0...1_000_000)
      limits.maxDailyPosts = reader.value("max_daily_posts", count, default: limits.maxDailyPosts)
      limits.maxDailyComments = reader.value("max_daily_comments", count, default: limits.maxDailyComments)
      limits.maxResponsesPerThread = reader.value(
        "max_responses_per_thread", count, default: limits.maxResponsesPerThread)
      limits.minInterval = .seconds(reader.value("min_interval_seconds", count, default: 60))
    }
    agent.limits = limits
  }

  private static func readMemory(_ reader: MappingReader) -> Memory {
    var memory = Memory()
    memory.enabled = reader.value("enabled", .bool, default: false)
    reader.mapping("remember") { reader in
      memory.conversationsWith = reader.value("conversations_with", .stringList, default: [])
      memory.projectsWorkedOn = reader.value("projects_worked_on", .bool, default: false)
      memory.decisionsMade = reader.value("decisions_made", .bool, default: false)
      memory.feedbackReceived = reader.value("feedback_received", .bool, default: false)
    }
    memory.maxSizeMiB = reader.value("max_size_mb", .int(in: 1...1000), default: 100)
    reader.mapping("retrieval") { reader in
      memory.strategy = reader.value(
        "strategy", .oneOf(Memory.Strategy.self, else: .embeddingSearch), default: .embeddingSearch)
      memory.maxContextItems = reader.value("max_context_items", .int(in: 1...100), default: 10)
      memory.relevanceThreshold = reader.value("relevance_threshold", .double(in: 0...1), default: 0.7)
    }
    return memory
  }

  private static func readExecutor(_ root: MappingReader, _ kind: Kind) -> Command? {
    let command = root.mapping("executor") { reader in
      Command(
        command: reader.required("command", .nonEmptyString),
        arguments: reader.value("args", .stringList, default: []),
        environment: reader.value("env", .stringMap, default: [:]))
    }
    // An unreadable type stands in as custom; one error about it is enough.
    let typeIsReadable = root.node("type")?.text == kind.rawValue
    if kind == .custom, typeIsReadable, command == nil {
      root.report("type", "type 'custom' needs 'executor.command': the program to run")
    }
    if kind != .custom, command != nil {
      root.report("executor", "'executor' is only for type 'custom'; this agent is of type '\(kind.rawValue)'")
    }
    return command
  }

  private static func readSandbox(_ reader: MappingReader) -> SandboxChoice {
    var sandbox = SandboxChoice()
    sandbox.profile = reader.optional("profile", .skillName)
    sandbox.memoryBytes = reader.optional("memory", .byteSize(in: (1 << 20)...(1 << 44)))
    sandbox.cpus = reader.optional("cpus", .double(in: 0.01...1024))
    sandbox.pids = reader.optional("pids", .int(in: 1...1_000_000))
    sandbox.timeout = reader.optional("timeout", .duration(in: .seconds(1) ... .seconds(86400)))
    sandbox.memoryHighBytes = reader.optional("memory_high", .byteSize(in: (1 << 20)...(1 << 44)))
    sandbox.cpuWeight = reader.optional("cpu_weight", .int(in: 1...10_000))
    sandbox.openFiles = reader.optional("open_files", .int(in: 16...1_048_576))
    sandbox.fileSizeBytes = reader.optional("file_size", .byteSize())
    reader.mapping("io") { reader in
      let (rate, count) = (YAMLKind<Int>.byteSize(in: 4096...(1 << 50)), YAMLKind<Int>.int(in: 1...1_000_000_000))
      sandbox.readBytesPerSecond = reader.optional("read_bps", rate)
      sandbox.writeBytesPerSecond = reader.optional("write_bps", rate)
      sandbox.readsPerSecond = reader.optional("read_iops", count)
      sandbox.writesPerSecond = reader.optional("write_iops", count)
    }
    // One word each: a definition can give these up, and can't ask for them.
    sandbox.withoutNetwork = reader.optional("network", .oneOf(["none"])) != nil
    sandbox.needsLandlock = reader.optional("landlock", .oneOf(["required"])) != nil
    sandbox.masked = reader.value("masked", .list(of: .absolutePath), default: [])
    sandbox.denied = reader.value("deny", .list(of: .nonEmptyString), default: [])
    return sandbox
  }
}
