import CLinux
import CPlan
import Glibc
import JSON
import Linux
import Synchronization

/// One sandbox from request to receipt. Everything it takes it gives back in `tearDown`, whatever happens between.
final class Activation: Sendable {
  private let supervisor: Supervisor
  private let request: SandboxRequest
  private let descriptors: [Descriptor]
  private let connection: PacketSocket
  private let cancellation: (read: Descriptor, write: Descriptor)
  /// Who asked for it.
  let owner: uid_t
  /// Seconds since 1970.
  let startedAt = Int64(time(nil))
  /// The request's.
  var id: String { request.activationID }
  /// The request's.
  var profile: String { request.profile }
  /// As it stands while the program runs, for `ControlRequests.swift`.
  var running: LiveSandbox? { published.withLock { $0 } }
  private let published = Mutex<LiveSandbox?>(nil)

  init(
    _ supervisor: Supervisor, _ request: SandboxRequest, _ descriptors: [Descriptor], _ connection: PacketSocket,
    owner: uid_t
  ) throws(LinuxError) {
    self.supervisor = supervisor
    self.request = request
    self.descriptors = descriptors
    self.connection = connection
    self.owner = owner
    try Faults.point("make cancellation pipe")
    cancellation = try makePipe()
  }

  /// Ends it from another thread.
  func cancel() {
    var byte: UInt8 = 1
    _ = write(cancellation.write.number, &byte, 1)
  }

  /// Makes, runs and removes the sandbox. Throws where nothing was started and no receipt makes sense.
  func run(report: (Supervisor.Event) -> Void) throws(SandboxRefused) -> Receipt {
    if let objection = request.objection(descriptors: descriptors.count) { throw SandboxRefused(objection) }
    let entry = try supervisor.catalogue.entry(request.profile, request.tightening)
    if entry.profile.network == .none, !request.listeners.isEmpty {
      throw SandboxRefused("profile '\(entry.profile.name)' has no network, so there can't be listeners")
    }
    let missing = supervisor.groups.missing(entry.profile.limits)
    if !missing.isEmpty, entry.profile.controlGroup == .required, !supervisor.options.bestEffortControlGroups {
      throw SandboxRefused(
        """
        profile '\(entry.profile.name)' requires limits that this host can't enforce: \(missing.joined(separator: "; ")). \
        Give the supervisor a delegated cgroup v2 group (systemd: Delegate=yes), or accept it with 'cgroup: best-effort' \
        in the profile or --cgroup best-effort.
        """)
    }
    var sandbox = LiveSandbox(supervisor: supervisor, request: request, entry: entry)
    sandbox.notEnforced = missing
    let started = ContinuousClock.now
    var cause: ExitCause
    do throws(SetupFailure) {
      try sandbox.prepare(descriptors)
      if !request.listeners.isEmpty {
        supervisor.answer(
          connection, SupervisorMessage(listening: request.listeners.map(\.name)),
          descriptors: sandbox.listeners)
      }
      sandbox.listeners = []
      try sandbox.launch(streams: descriptors)
      cause = try watch(&sandbox, began: started, report: report)
    } catch {
      cause = .setupFailed(operation: error.operation, object: error.object, reason: error.reason)
    }
    published.withLock { $0 = nil }
    sandbox.tearDown(report: report)
    if cause == .signal(9), sandbox.oomKills > 0 { cause = .oom }
    let seconds = (ContinuousClock.now - started).seconds
    let receipt = sandbox.receipt(cause: cause, startedAt: startedAt, seconds: seconds)
    report(.ended(receipt, seconds: seconds))
    return receipt
  }

  /// The event loop of one sandbox: reports of PID 1, words of the client, the clock.
  private func watch(
    _ sandbox: inout LiveSandbox, began: ContinuousClock.Instant, report: (Supervisor.Event) -> Void
  ) throws(SetupFailure) -> ExitCause {
    let deadline = ContinuousClock.now + sandbox.plan.limits.timeout
    // Making a sandbox is a matter of milliseconds, whatever its program may take.
    let readiness = ContinuousClock.now + Self.setupLimit
    var isReady = false
    var term = request.term
    let sources = [
      sandbox.control.descriptor, connection.descriptor, cancellation.read,
    ]
    // The first order that PID 1 hears must be the one to start; signals that come before wait here.
    var early: [UInt8] = []
    while true {
      let readable: [Bool]
      var end = isReady ? deadline : min(deadline, readiness)
      if let term { end = min(end, ContinuousClock.now + BootTime.now.duration(to: term)) }
      do throws(LinuxError) {
        try Faults.point("watch")
        readable = try waitReadable(sources, timeout: max(.zero, end - ContinuousClock.now))
      } catch { throw SetupFailure(error) }
      // What PID 1 says comes first: a program that ended just now ended by itself. Before there is one, its client's word does, for
      // it may put the term off.
      if readable[0], isReady || !readable[1] {
        switch try sandbox.hear() {
        case .launched: sandbox.inspectBirth()
        case .hasIDs:
          try sandbox.mapMounts()
          try sandbox.order(ORDER_MOUNTS_MAPPED)
        case .ready:
          // Its client may have stood still meanwhile, and somebody else run the same agent now.
          if let term, BootTime.now >= term { return .lapsed }
          isReady = true
          do throws(SetupFailure) {
            try sandbox.inspect()
            // Before the program can tell anybody that it runs: who hears it may ask about it.
            published.withLock { $0 = sandbox }
            try sandbox.order(ORDER_START)
          } catch {
            // It is making the program's process meanwhile. Where that failed it is gone, and has said why.
            try sandbox.hearLastWords()
            throw error
          }
          sandbox.readLimits()
          published.withLock { $0 = sandbox }
          // From now on they wait at PID 1, which hears them once the program runs.
          for signal in early { try sandbox.relay(signal) }
          report(
            .started(
              activationID: request.activationID, profile: request.profile,
              seconds: (ContinuousClock.now - began).seconds))
          supervisor.answer(connection, SupervisorMessage(started: true))
        case .exited(let status):
          return cl_signaled(status) != 0 ? .signal(Int(cl_signal(status))) : .exited(code: Int(cl_exit_code(status)))
        case .gone where isReady: return .signal(9)
        case .gone:
          throw SetupFailure(operation: "launch", object: "botburrow-init", reason: "it ended without a word")
        }
        continue
      }
      if readable[2] { return .cancelled }
      if readable[1] {
        switch word(report) {
        case .signal(let signal) where isReady: try sandbox.relay(signal)
        case .signal(let signal): if early.count < 64 { early.append(signal) }
        case .term(let later): if let before = term { term = max(before, later) }
        case .other: break
        case .end, .hungUp: return .cancelled
        }
      }
      if ContinuousClock.now >= deadline { return .timeout }
      if let term, BootTime.now >= term { return .lapsed }
      if !isReady && ContinuousClock.now >= readiness {
        throw SetupFailure(
          LinuxError(
            "launch", "botburrow-init", code: ETIMEDOUT, advice: "look at what holds it up, then try again"))
      }
    }
  }

  private static let setupLimit = Duration.seconds(10)

  private enum Word { case signal(UInt8), term(BootTime), end, other, hungUp }

  /// The next thing that the client says. One that can't be read is a client of another mind: it is as if it had hung up.
  private func word(_ report: (Supervisor.Event) -> Void) -> Word {
    do {
      guard let packet = try connection.receive() else { return .hungUp }
      let message = try ClientMessage(parsing: packet.bytes)
      if message.end == true { return .end }
      if let term = message.term { return .term(term) }
      return message.signal.flatMap { (1...64).contains($0) ? .signal(UInt8($0)) : nil } ?? .other
    } catch {
      report(.trouble("activation \(request.activationID) is ended, for its client's packet can't be read: \(error)"))
      return .hungUp
    }
  }
}

/// A step that did not work, before the program ran.
struct SetupFailure: Error {
  var operation: String
  var object: String
  var reason: String

  init(operation: String, object: String, reason: String) {
    self.operation = operation
    // Texts of the request can be long, and a receipt has to fit into a packet.
    self.object = object.utf8.count <= 256 ? object : object.prefix(200) + "…"
    self.reason = reason
  }

  init(_ error: LinuxError) {
    self.init(
      operation: error.operation, object: error.object,
      reason: errorName(error.code) + (error.advice.isEmpty ? "" : "; \(error.advice)"))
  }
}
