import YAML

extension Configuration {
  /// Reads the file's text. Everything that is wrong with it is reported at once.
  /// - Parameters:
  ///   - file: how errors name the file.
  ///   - environment: the source of `${NAME}` and of the bucket's credentials.
  ///   - parts: the top-level keys that are looked at; nil: all. Whoever needs few needs few of the variables, which an
  ///     administrator's shell hasn't got.
  ///   - secrets: false for whoever only looks: variables that aren't set stay as they are, and files with keys of providers
  ///     aren't opened.
  public static func parse(
    _ bytes: some Sequence<UInt8>, file: String, environment: [String: String], parts: Set<String>? = nil,
    secrets: Bool = true
  ) throws(YAMLErrors) -> Configuration {
    try YAML.read(bytes, file: file, environment: environment, leavesUnset: !secrets, only: parts) { root in
      var configuration = Configuration()
      root.mapping("coordinator") { configuration.coordinator = readCoordinator($0) }
      root.mapping("runners") { configuration.runners = readRunners($0) }
      root.mapping("redis") { configuration.redisURL = readRedis($0) }
      root.mapping("hub") { configuration.hub = readHub($0) }
      configuration.definitions = readDefinitions(root, environment)
      root.mapping("supervisor") { configuration.supervisor = readSupervisor($0) }
      root.mapping("mcp") { readMCP($0, &configuration.mcp) }
      root.mapping("work") { configuration.work = readWork($0) }
      root.mapping("activation") { configuration.activation = readActivation($0) }
      root.mapping("providers") { configuration.providers = readProviders($0, secrets ? environment : nil) }
      root.mapping("cache") { configuration.cacheToken = readCache($0, secrets ? environment : nil) }
      root.mapping("metrics") { configuration.metrics = readMetrics($0) }
      root.mapping("log") { log in
        configuration.logLevel = log.value(
          "level", .oneOf(LogLevel.self, else: .info), default: configuration.logLevel)
      }
      root.mapping("receipts") { configuration.receiptsDirectory = readReceipts($0) }
      return configuration
    }
  }

  private static func readReceipts(_ reader: MappingReader) -> String {
    reader.value("directory", .absolutePath, default: Configuration().receiptsDirectory)
  }

  private static func readCoordinator(_ reader: MappingReader) -> Coordinator {
    var coordinator = Coordinator()
    coordinator.pollInterval = reader.value(
      "poll_interval", .duration(in: .milliseconds(100) ... .seconds(3600)), default: coordinator.pollInterval)
    coordinator.staleThreshold = reader.value(
      "stale_threshold", .duration(in: .seconds(1) ... .seconds(365 * 86400)), default: coordinator.staleThreshold)
    coordinator.maxConcurrentActivations = reader.value(
      "max_concurrent_activations", .int(in: 1...100_000), default: coordinator.maxConcurrentActivations)
    coordinator.stuckAfter = reader.value(
      "stuck_after", .duration(in: .seconds(10) ... .seconds(86400)), default: coordinator.stuckAfter)
    return coordinator
  }

  private static func readRunners(_ reader: MappingReader) -> [String: RunnerPool] {
    var runners: [String: RunnerPool] = [:]
    for pool in Pool.allCases {
      runners[pool.rawValue] = reader.mapping(pool.rawValue) { reader in
        RunnerPool(
          replicas: reader.value("replicas", .int(in: 0...1000), default: 1),
          maxActivations: reader.value("max_activations", .int(in: 1...1000), default: 10))
      }
    }
    return runners
  }

  private static func readRedis(_ reader: MappingReader) -> String? {
    guard let url = reader.optional("url", .nonEmptyString) else { return nil }
    // The URL may hold a password: errors show its scheme only.
    let scheme = url.prefix { $0 != ":" }
    switch scheme {
    case "redis" where url.hasPrefix("redis://") && url.count > "redis://".count: break
    case "unix" where url.hasPrefix("unix:///") && url.count > "unix:///".count: break
    case "redis-sentinel" where url.hasPrefix("redis-sentinel://") && url.count > "redis-sentinel://".count: break
    case "rediss":
      reader.report(
        "url",
        "'url' asks for TLS (rediss://), which isn't spoken here; run a stunnel on this host and write "
          + "redis://127.0.0.1:PORT, or write unix:///PATH for a local socket")
    default: reader.report("url", "'url' must be redis://HOST:PORT, unix:///PATH or redis-sentinel://HOST:PORT,…/NAME")
    }
    return url
  }

  private static func readHub(_ reader: MappingReader) -> Hub {
    Hub(url: reader.required("url", .httpURL), apiKey: reader.required("api_key", .nonEmptyString))
  }

  private static func readDefinitions(_ root: MappingReader, _ environment: [String: String]) -> Definitions? {
    let directory = root.mapping("definitions") { $0.required("directory", .nonEmptyString) }
    let bucket = root.mapping("r2") { reader in
      Definitions.bucket(
        name: reader.required("bucket", .nonEmptyString),
        endpoint: reader.required("endpoint", .httpURL),
        accessKeyID: credential("access_key_id", "R2_ACCESS_KEY_ID", reader, environment),
        secretAccessKey: credential("secret_access_key", "R2_SECRET_ACCESS_KEY", reader, environment),
        region: reader.value("region", .nonEmptyString, default: "auto"))
    }
    if directory != nil, bucket != nil {
      root.report("definitions", "definitions come from 'definitions.directory' or from 'r2', not both; leave one out")
    }
    return bucket ?? directory.map { .directory($0) }
  }

  /// From the file or, where it is silent, from the environment.
  private static func credential(
    _ key: String, _ variable: String, _ reader: MappingReader, _ environment: [String: String]
  ) -> String {
    if let value = reader.optional(key, .nonEmptyString) { return value }
    if let value = environment[variable], !value.isEmpty { return value }
    reader.report(key, "'\(key)' is missing in 'r2' and \(variable) is not set in the environment; give one of them")
    return ""
  }

  private static func readSupervisor(_ reader: MappingReader) -> Supervisor {
    var supervisor = Supervisor()
    supervisor.socket = reader.value("socket", .socketPath, default: supervisor.socket)
    return supervisor
  }

  private static func readMCP(_ reader: MappingReader, _ mcp: inout MCP) {
    mcp.servers = reader.optional("servers", .nonEmptyString)
    mcp.permissions = reader.optional("permissions", .nonEmptyString)
    mcp.secrets = reader.optional("secrets", .nonEmptyString)
    mcp.profile = reader.value("profile", .nonEmptyString, default: mcp.profile)
  }

  private static func readWork(_ reader: MappingReader) -> Work {
    var work = Work()
    work.lease = reader.value("lease", .duration(in: .seconds(1) ... .seconds(3600)), default: work.lease)
    work.maxAttempts = reader.value("max_attempts", .int(in: 1...100), default: work.maxAttempts)
    return work
  }

  private static func readActivation(_ reader: MappingReader) -> Activation {
    var activation = Activation()
    activation.timeout = reader.value(
      "timeout", .duration(in: .seconds(1) ... .seconds(86400)), default: activation.timeout)
    activation.maxOutputBytes = reader.value(
      "max_output", .byteSize(in: 1024...(1 << 30)), default: activation.maxOutputBytes)
    activation.maxTokens = reader.value("max_tokens", .int(in: 0...1_000_000_000), default: activation.maxTokens)
    return activation
  }

  private static func readMetrics(_ reader: MappingReader) -> Metrics {
    var metrics = Metrics()
    metrics.coordinator = reader.value("coordinator", .listenAddress, default: metrics.coordinator)
    for pool in Pool.allCases {
      if let address = reader.optional(pool.rawValue, .listenAddress) { metrics.runners[pool] = address }
    }
    return metrics
  }
}

extension YAMLKind where Value == String {
  /// `http://…` or `https://…`; a slash at the end is taken off, so that paths can be put behind it.
  fileprivate static var httpURL: YAMLKind<String> {
    YAMLKind.nonEmptyString.map(placeholder: "") { text throws(YAMLMismatch) in
      let lower = text.lowercased()
      guard let scheme = ["http://", "https://"].first(where: { lower.hasPrefix($0) }),
        text.count > scheme.count, !text.contains(where: \.isWhitespace)
      else { throw YAMLMismatch("must be an http:// or https:// URL") }
      return String(text.hasSuffix("/") ? text.dropLast() : text[...])
    }
  }
  fileprivate static var absolutePath: YAMLKind<String> {
    YAMLKind.nonEmptyString.map(placeholder: "/") { text throws(YAMLMismatch) in
      guard text.hasPrefix("/") else { throw YAMLMismatch("must be a path that begins with /, not '\(text)'") }
      return text
    }
  }
  fileprivate static var socketPath: YAMLKind<String> {
    YAMLKind.absolutePath.map(placeholder: "/") { text throws(YAMLMismatch) in
      guard text.utf8.count <= 107 else {
        throw YAMLMismatch("must be at most 107 bytes long: the kernel's limit on a socket's path")
      }
      return text
    }
  }
}

extension YAMLKind where Value == ListenAddress {
  fileprivate static var listenAddress: YAMLKind<ListenAddress> {
    YAMLKind<String>.nonEmptyString.map(placeholder: .unix(path: "/")) { text throws(YAMLMismatch) in
      guard let address = ListenAddress(text) else {
        throw YAMLMismatch("must be HOST:PORT, [ADDRESS]:PORT or unix:/PATH, not '\(text)'")
      }
      return address
    }
  }
}
