import ArgumentParser
import Configuration
import Glibc
import HTTPServer
import Linux
import Logging
import Observe

/// What every daemon's command line shares.
struct DaemonOptions: ParsableArguments {
  @Option(help: "Become this user (name or number) for good, without capabilities, before anything is served.")
  var runAs: String?
  @Option(
    help: "Serve /metrics, /healthz, /readyz and POST /api/v1/cache/invalidate here: host:port or unix:/path.")
  var metrics: String?
  @Option(help: "trace, debug, info, notice, warning or error.") var logLevel: Logger.Level?
  /// The parent that started us: when it ends, so do we.
  @Option(help: .hidden) var dieWith: pid_t?

  func validate() throws {
    if let metrics, ListenAddress(metrics) == nil {
      throw ValidationError("--metrics '\(metrics)' must be host:port or unix:/path")
    }
  }

  /// First thing in a daemon, while there is one thread: signals that end it, whose child it is, and who it is.
  func begin() throws -> SignalWatch {
    let signals = try SignalWatch([SIGINT, SIGTERM])
    signal(SIGPIPE, SIG_IGN)
    if let runAs {
      guard geteuid() == 0 else { throw ValidationError("--run-as needs root to begin with") }
      let account = try Accounts.user(runAs)
      try Capabilities.becomeUser(account.uid, group: account.gid)
    }
    try followParent()
    // The Hub's key is in our memory and environment: no core dump, no look through /proc by others of the same user.
    try Linux.hideProcess()
    return signals
  }

  /// After a change of user, which clears the death signal (prctl(2)).
  func followParent() throws {
    guard let dieWith else { return }
    try Linux.followParent(dieWith)
  }
}

extension Logger.Level: @retroactive ExpressibleByArgument {}

/// Runs a daemon's asynchronous part while the main thread waits for signals.
enum Daemon {
  /// Returns when `body` does. The first TERM or INT calls `stop`, which should let `body` end; the second ends at once.
  static func run(
    _ signals: SignalWatch, stop: @escaping @Sendable () async -> Void,
    _ body: @escaping @Sendable () async throws -> Void
  ) throws {
    let (done, finished) = try makePipe()
    let outcome = Outcome()
    Task.detached {
      defer { finished.close() }
      do { try await body() } catch { outcome.set("\(error)") }
    }
    var stopping = false
    while true {
      let readable = try waitReadable([done, signals.descriptor], timeout: nil)
      if readable[0] { break }
      _ = try signals.next()
      if stopping { throw ExitCode(130) }
      stopping = true
      Task.detached { await stop() }
    }
    if let failure = outcome.text {
      complain(failure)
      throw ExitCode.failure
    }
  }

  /// Starts the endpoints of a daemon, which take no bodies to speak of; nil where no address is wanted.
  static func observe(_ address: ListenAddress?, _ endpoints: ObserveEndpoints) async throws -> HTTPServer? {
    guard let address else { return nil }
    return try await HTTPServer.start(at: address.server, maxBodyBytes: 4096, handler: endpoints.handler)
  }
}

extension ListenAddress {
  var server: ServerAddress {
    switch self {
    case .tcp(let host, let port): .tcp(host: host, port: port)
    case .unix(let path): .unix(path: path)
    }
  }
}
