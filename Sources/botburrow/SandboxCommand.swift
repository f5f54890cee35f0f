import ArgumentParser
import Glibc
import JSON
import Linux
import Sandbox

/// `botburrow sandbox …`
struct SandboxCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "sandbox", abstract: "Run programs in a sandbox.",
    subcommands: [SandboxRun.self, SandboxList.self, SandboxFreeze.self, SandboxThaw.self])
}

/// `botburrow sandbox run`
struct SandboxRun: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "run",
    abstract: "Run one command in a sandbox.",
    discussion: """
      Standard input, output and error are passed on. The exit code is the command's; 128+n where signal n ended it, \
      124 at the timeout, 125 where the sandbox could not be made.

      With a running supervisor the command needs the right to use its socket; without one it must be root and starts a \
      supervisor of its own for as long as the command runs.
      """)

  @Option(name: .shortAndLong, help: "The profile's name.") var profile = "default"
  @Option(help: "Write the receipt (JSON) to this file; '-' for standard error.") var receipt: String?
  @Option(help: "The running supervisor's socket.") var socket = Places.socket
  @Option(help: "Directory of profiles, where no supervisor runs.") var profiles: String?
  @Option(help: "required or best-effort: what happens where limits can't be enforced (without a supervisor).")
  var cgroup: Profile.ControlGroupPolicy?
  @Option(name: .shortAndLong, help: "Variable NAME=VALUE for the command; repeat for more.") var env: [String] = []
  @Option(help: "Mount this agent's persistent workspace, where the profile has a place for one.") var workspace:
    String?
  @Option(help: "Directory of persistent workspaces, where no supervisor runs.") var workspaces: String?
  @Option(help: "End the command after so many seconds, if the profile doesn't sooner.") var timeout: Double?
  @Flag(help: "Start an own supervisor even where one is running.") var standalone = false
  @Argument(parsing: .postTerminator, help: "The command and its arguments, after '--'.") var command: [String]

  func validate() throws {
    if command.isEmpty { throw ValidationError("there is no command; put it behind '--': botburrow sandbox run -- id") }
    for entry in env where !entry.contains("=") { throw ValidationError("--env '\(entry)' must be NAME=VALUE") }
  }

  func run() throws {
    let signals = try SignalWatch([SIGINT, SIGTERM, SIGHUP, SIGQUIT])
    let result: Receipt
    do { result = try runToEnd(signals) } catch {
      complain("\(error)")
      throw ExitCode(125)
    }
    if let receipt { try write(result, to: receipt) }
    if case .setupFailed = result.exit { complain("\(result.exit)") }
    if result.exit == .timeout { complain("the command was ended at its timeout") }
    if result.exit == .oom { complain("the command was ended: it reached its memory limit") }
    throw ExitCode(result.exit.shellCode)
  }

  private func runToEnd(_ signals: SignalWatch) throws -> Receipt {
    let connection = try connect()
    let environment = env.map { $0.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false) }
    let request = SandboxRequest(
      activationID: "run-\(getpid())-\(UInt32.random(in: 0...UInt32.max))", profile: profile, arguments: command,
      environment: Dictionary(environment.map { (String($0[0]), String($0[1])) }) { _, last in last },
      limits: SandboxRequest.Limits(timeoutSeconds: timeout), workspace: workspace)
    try connection.spawn(request, streams: [0, 1, 2].map(Descriptor.borrowed), files: [])
    // The program holds its own copies: who waits for the end of our output must not wait for us.
    return try waitForEnd(connection, signals)
  }

  private func connect() throws -> SandboxConnection {
    if !standalone, access(socket, F_OK) == 0 {
      do { return try SandboxConnection.open(socket) } catch  where error.code == ECONNREFUSED {}
    }
    return try SupervisorCommand.startPrivate(profiles: profiles, cgroup: cgroup, workspaces: workspaces)
  }

  private func waitForEnd(_ connection: SandboxConnection, _ signals: SignalWatch) throws -> Receipt {
    while true {
      let readable = try waitReadable([connection.descriptor, signals.descriptor], timeout: nil)
      if readable[1] { try connection.signal(signals.next()) }
      if readable[0], case .ended(let receipt) = try connection.next() { return receipt }
    }
  }

  private func write(_ result: Receipt, to path: String) throws {
    let text = try JSON.text(result.json, pretty: true) + "\n"
    if path == "-" {
      writeError(text)
    } else {
      try Descriptor.open(path, O_WRONLY | O_CREAT | O_TRUNC, mode: 0o644).write(text.utf8)
    }
  }
}

extension Profile.ControlGroupPolicy: ExpressibleByArgument {}
