import Agents
import ArgumentParser
import Configuration
import Executors
import Glibc
import HTTPClient
import JSON
import Linux
import ModelGateway
import Runner
import Sandbox

/// `botburrow config …`
struct ConfigCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "config", abstract: "Look at the configuration.", subcommands: [ConfigCheck.self])
}

/// `botburrow config check`
struct ConfigCheck: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "check", abstract: "Check a configuration file; exit 1 and say where, if something is wrong.")
  @Argument(help: "The file.") var file = SettingsOptions.standardPath

  func run() throws {
    let files: OperatorFiles
    let configuration: Configuration
    do {
      configuration = try Configuration.load(path: file, environment: SettingsOptions.environment())
      files = try OperatorFiles(configuration.mcp)
    } catch {
      writeError("\(error)\n")
      throw ExitCode.failure
    }
    print("\(file): good")
    let servers = files.servers.keys.sorted().joined(separator: ", ")
    let providers = configuration.providers.values.sorted { $0.name < $1.name }.map { provider in
      let spoken = provider.dialects.map(\.rawValue).sorted().joined(separator: ", ")
      return "\(provider.name) (\(spoken))\(provider.key == nil && provider.keys.isEmpty ? " without a key" : "")"
    }
    print("model providers: \(providers.isEmpty ? "none" : providers.joined(separator: ", "))")
    print("tool servers: hub\(servers.isEmpty ? "" : ", \(servers)")")
  }
}

/// `botburrow agents …`
struct AgentsCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "agents", abstract: "Check agent definitions, and have changed ones used at once.",
    subcommands: [AgentsCheck.self, AgentsInvalidate.self])
}

/// `botburrow agents check`
struct AgentsCheck: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "check",
    abstract: "Check every agent definition and say what each agent may do; exit 1 if one is wrong.")
  @Argument(help: "Directory with agents/ and skills/; without it, the configuration's directory or bucket.")
  var directory: String?
  @Flag(help: "Print JSON instead of text.") var json = false
  @Option(name: .shortAndLong, help: "The configuration file.") var config: String?
  @Option(help: "Directory of sandbox profiles.") var profiles: String?

  func run() throws {
    let signals = try SignalWatch([SIGINT, SIGTERM])
    let source: any DefinitionSource
    let environment = SettingsOptions.environment()
    let file = config ?? SettingsOptions.standardPath
    var configuration: Configuration?
    if config != nil || directory == nil {
      // Whoever writes definitions needs to know servers and models, and has no keys to them.
      configuration = try Configuration.load(
        path: file, environment: environment, parts: ["mcp", "providers"], secrets: false)
    }
    if let directory {
      source = DirectorySource(directory)
    } else {
      // Reading a bucket takes its credentials, and nothing else.
      source = try Configuration.load(path: file, environment: environment, parts: ["definitions", "r2"])
        .makeDefinitions(for: "agents check", HTTPClient(userAgent: "botburrow"))
    }
    let files = try OperatorFiles(configuration?.mcp ?? Configuration.MCP())
    let providers = configuration?.providers
    let known = (try? Places.profiles(profiles)).map { ProfileSource(directory: $0) }
    let wrong = Outcome()
    let (json, operatorFiles, knownProviders) = (json, files, providers)
    try Daemon.run(signals, stop: {}) {
      var reports: [JSONValue] = []
      for id in try await source.list() {
        let report = await Self.check(id, source, operatorFiles, knownProviders, known)
        if !report.problems.isEmpty { wrong.set(id) }
        reports.append([
          "agent": .string(id), "problems": .array(report.problems.map { .string($0) }),
          "summary": .array(report.summary.map { .string($0) }),
        ])
        if !json { Self.show(id, report) }
      }
      if json { print(try JSON.text(reports, pretty: true)) }
      if reports.isEmpty { complain("there are no agents") }
    }
    if wrong.text != nil { throw ExitCode.failure }
  }

  private static func check(
    _ id: String, _ source: any DefinitionSource, _ files: OperatorFiles, _ providers: [String: ModelProvider]?,
    _ profiles: ProfileSource?
  ) async -> (problems: [String], summary: [String]) {
    do {
      let agent = try await source.load(id)
      let check = AgentCheck(
        agent, operator: files, profiles: profiles.map { Set($0.names()) },
        tool: Executors.problems,
        sandbox: { definition in
          profiles.map { definition.sandbox.problems(in: $0, standard: definition.kind.profile) } ?? []
        })
      let (problem, line) = model(of: agent.definition, providers)
      return (check.problems + [problem].compactMap { $0 }, check.summary + [line].compactMap { $0 })
    } catch {
      return ("\(error)".split(separator: "\n").map(String.init), [])
    }
  }

  /// What stands between an agent and its model, and which it is. Nothing where no configuration is known.
  private static func model(
    of agent: AgentDefinition, _ providers: [String: ModelProvider]?
  ) -> (problem: String?, line: String?) {
    guard let providers else { return (nil, nil) }
    do throws(ModelChoiceError) {
      guard let choice = try ModelChoice.of(agent, providers: providers) else { return (nil, "model: none") }
      return (nil, "model: \(choice.model) of provider \(choice.provider.name)")
    } catch {
      // A program of the operator's may do without a model; the other kinds are nothing without one.
      return agent.kind == .custom ? (nil, "model: none; \(error)") : ("\(error)", nil)
    }
  }

  private static func show(_ id: String, _ report: (problems: [String], summary: [String])) {
    print(id)
    for line in report.summary { print("  \(line)") }
    for problem in report.problems { print("  \(Style.red("wrong:")) \(problem)") }
  }
}
