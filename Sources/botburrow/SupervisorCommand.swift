import ArgumentParser
import Configuration
import Glibc
import Linux
import Logging
import Observe
import Sandbox

/// `botburrow supervisor`
struct SupervisorCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "supervisor",
    abstract: "Create sandboxes for the runners of this host.",
    discussion: """
      Runs as root, in a network namespace of its own from which no network can be reached, with the capabilities that \
      sandboxes need and no others. Whoever may open its socket can start sandboxes of the profiles in --profiles.

      Signals: HUP reads the profiles anew; TERM and INT end every sandbox, remove what is theirs, and exit.
      """)

  @Option(help: "Where to listen (a SEQPACKET Unix socket).") var socket = Places.socket
  @Option(help: "Directory of profiles; it should belong to root.") var profiles: String?
  @Option(help: "best-effort: run also where memory, cpu or pids can't be limited; receipts say what is missing.")
  var cgroup: Profile.ControlGroupPolicy = .required
  @Option(help: "User that may connect besides root, by name or number; repeat for more.") var allowUser: [String] = []
  @Option(help: "Network namespaces made ahead.") var pool = 4
  @Option(help: "Directory of agents' persistent workspaces, made with the first one (root's alone, mode 0700).")
  var workspaces = Places.workspaces
  @Option(help: "Serve /metrics, /healthz and /readyz on this Unix socket: unix:/path.") var metrics: String?
  @Option(help: "trace, debug, info, notice, warning or error.") var logLevel: Logger.Level = .info
  @Option(help: .hidden) var dieWith: pid_t?
  @Option(help: .hidden) var serveDescriptor: Int32?

  func validate() throws {
    guard let metrics else { return }
    guard case .unix? = ListenAddress(metrics) else {
      throw ValidationError("--metrics '\(metrics)' must be unix:/path: the supervisor has no network")
    }
  }

  func run() throws {
    // Before anything starts a thread: they all inherit the mask, and the network namespace that the supervisor leaves.
    let signals = try SignalWatch([SIGINT, SIGTERM, SIGHUP])
    let users = try allowUser.map { try Accounts.user($0) }
    let options = Supervisor.Options(
      profiles: try Places.profiles(profiles), initProgram: try Places.initProgram(),
      loopProgram: Places.loopProgram, workspaces: workspaces,
      bestEffortControlGroups: cgroup == .bestEffort, poolDepth: serveDescriptor == nil ? pool : 0,
      allowedUsers: users.isEmpty ? nil : Set(users.map(\.uid)))
    guard geteuid() == 0 else { throw ValidationError("the supervisor must be started as root") }
    if let serveDescriptor { return try servePrivate(serveDescriptor, options, signals) }
    if let dieWith { try followParent(dieWith) }
    bootstrapLogging(level: logLevel, component: "supervisor")
    let journal = SupervisorJournal()
    let listener = try PacketListener(at: socket, mode: 0o660, owner: 0, group: users.first?.gid ?? 0)
    let supervisor = try Supervisor(options) { journal.record($0) }
    // NIO's threads start after this one left the host's network; like all others they have none.
    let address = metrics.flatMap { ListenAddress($0) }
    let endpoints = ObserveEndpoints(
      metrics: journal.metrics, collect: { $0.set("botburrow_sandboxes", to: Double(supervisor.count)) })
    Task.detached {
      do { _ = try await Daemon.observe(address, endpoints) } catch { journal.record(.trouble("metrics: \(error)")) }
    }
    Thread.detach { supervisor.serve(listener) }
    journal.logger.notice(
      "supervisor started",
      metadata: [
        "socket": "\(socket)", "profiles": "\(options.profiles)", "limits": "\(supervisor.enforcement)",
      ])
    while true {
      if try signals.next() == SIGHUP {
        supervisor.reload()
        journal.logger.notice("profiles are read anew")
        continue
      }
      unlink(socket)
      if case .unix(let path)? = address { unlink(path) }
      supervisor.stop()
      journal.logger.notice("supervisor stopped")
      return
    }
  }

  /// One connection, then the end: what `sandbox run` starts where no supervisor runs.
  private func servePrivate(_ number: Int32, _ options: Supervisor.Options, _ signals: SignalWatch) throws {
    let supervisor = try Supervisor(options) { event in
      if case .trouble(let text) = event { complain(text) }
    }
    let connection = PacketSocket(Descriptor(owning: number))
    let (done, finished) = try makePipe()
    Thread.detach {
      supervisor.run(connection)
      finished.close()
    }
    _ = try waitReadable([done, signals.descriptor], timeout: nil)
    supervisor.stop()
  }

  /// Starts a supervisor for one connection; it ends with it.
  static func startPrivate(
    profiles: String?, cgroup: Profile.ControlGroupPolicy?, workspaces: String? = nil
  ) throws -> SandboxConnection {
    guard geteuid() == 0 else {
      throw ValidationError(
        "no supervisor serves \(Places.socket), and starting one needs root; run as root or start 'botburrow supervisor'"
      )
    }
    let (mine, theirs) = try PacketSocket.pair()
    var arguments = ["botburrow", "supervisor", "--serve-descriptor", "3"]
    if let profiles { arguments += ["--profiles", profiles] }
    if let cgroup { arguments += ["--cgroup", cgroup.rawValue] }
    if let workspaces { arguments += ["--workspaces", workspaces] }
    // The caller's group belongs to its session or unit: no place for groups of ours.
    var program = "/proc/self/exe"
    if DelegatedScope.isNeeded {
      arguments = DelegatedScope.command(Places.executable, Array(arguments.dropFirst()))
      program = arguments[0]
    }
    let environment = ["BOTBURROW_INIT", "BOTBURROW_AGENT", "BOTBURROW_PROFILES", "PATH"].compactMap { name in
      Places.variable(name).map { "\(name)=\($0)" }
    }
    // In a group of its own: a terminal's Ctrl-C is for the program, which may answer it, not for its supervisor.
    _ = try spawn(
      program, arguments, environment: environment,
      descriptors: [0, 1, 2].map(Descriptor.borrowed) + [theirs.descriptor], ownGroup: true)
    theirs.descriptor.close()
    return SandboxConnection(mine)
  }
}
