import CLinux
import CPlan
import Glibc
import JSON
import Linux

/// One sandbox from request to receipt. Everything it takes it gives back in `tearDown`, whatever happens between.
final class Activation: Sendable {
  private let supervisor: Supervisor
  private let request: SandboxRequest
  private let descriptors: [Descriptor]
  private let connection: PacketSocket
  private let cancellation: (read: Descriptor, write: Descriptor)?

  init(
    _ supervisor: Supervisor, _ request: SandboxRequest, _ descriptors: [Descriptor], _ connection: PacketSocket
  ) {
    self.supervisor = supervisor
    self.request = request
    self.descriptors = descriptors
    self.connection = connection
    cancellation = try? makePipe()
  }

  /// Ends it from another thread.
  func cancel() {
    var byte: UInt8 = 1
    if let cancellation { _ = write(cancellation.write.number, &byte, 1) }
  }

  /// Makes, runs and removes the sandbox. Throws where nothing was started and no receipt makes sense.
  func run(report: (Supervisor.Event) -> Void) throws(SandboxRefused) -> Receipt {
    if let objection = request.objection(descriptors: descriptors.count) { throw SandboxRefused(objection) }
    let entry = try supervisor.catalogue.entry(request.profile)
    let missing = supervisor.groups.missing()
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
    let startedAt = time(nil)
    var cause: ExitCause
    do throws(SetupFailure) {
      try sandbox.prepare(descriptors)
      supervisor.answer(
        connection, SupervisorMessage(listening: request.listeners.map(\.name)),
        descriptors: sandbox.listeners.map(\.number))
      sandbox.listeners = []
      try sandbox.launch(streams: descriptors)
      cause = try watch(&sandbox, began: started, report: report)
    } catch {
      cause = .setupFailed(operation: error.operation, object: error.object, reason: error.reason)
    }
    sandbox.tearDown(report: report)
    if cause == .signal(9), sandbox.oomKills > 0 { cause = .oom }
    let seconds = (ContinuousClock.now - started).seconds
    let receipt = sandbox.receipt(cause: cause, startedAt: Int64(startedAt), seconds: seconds)
    report(.ended(receipt, seconds: seconds))
    return receipt
  }

  /// The event loop of one sandbox: reports of PID 1, words of the client, the clock.
  private func watch(
    _ sandbox: inout LiveSandbox, began: ContinuousClock.Instant, report: (Supervisor.Event) -> Void
  ) throws(SetupFailure) -> ExitCause {
    let deadline = ContinuousClock.now + sandbox.plan.limits.timeout
    let sources = [
      sandbox.control.descriptor.number, connection.descriptor.number, cancellation?.read.number ?? -1,
    ]
    while true {
      let readable: [Bool]
      do throws(LinuxError) {
        readable = try waitReadable(sources, timeout: max(.zero, deadline - ContinuousClock.now))
      } catch { throw SetupFailure(error) }
      // What PID 1 says comes first: a program that ended just now ended by itself.
      if readable[0] {
        switch try sandbox.hear() {
        case .ready:
          try sandbox.inspect()
          try sandbox.order(ORDER_START)
        case .started:
          report(
            .started(
              activationID: request.activationID, profile: request.profile,
              seconds: (ContinuousClock.now - began).seconds))
          supervisor.answer(connection, SupervisorMessage(started: true))
        case .exited(let status):
          return cl_signaled(status) != 0 ? .signal(Int(cl_signal(status))) : .exited(code: Int(cl_exit_code(status)))
        case .gone: return .signal(9)
        }
        continue
      }
      if readable[2] { return .cancelled }
      if readable[1], try !relay(sandbox) { return .cancelled }
      if ContinuousClock.now >= deadline { return .timeout }
    }
  }

  /// One word of the client; false when it hung up.
  private func relay(_ sandbox: LiveSandbox) throws(SetupFailure) -> Bool {
    do throws(LinuxError) {
      guard let packet = try connection.receive() else { return false }
      if let signal = (try? JSON.decode(ClientMessage.self, from: packet.bytes))?.signal, (1...64).contains(signal) {
        try sandbox.control.send([UInt8(ORDER_SIGNAL.rawValue), UInt8(signal)])
      }
      return true
    } catch { throw SetupFailure(error) }
  }
}

/// A step that did not work, before the program ran.
struct SetupFailure: Error {
  var operation: String
  var object: String
  var reason: String

  init(operation: String, object: String, reason: String) {
    self.operation = operation
    self.object = object
    self.reason = reason
  }

  init(_ error: LinuxError) {
    self.init(
      operation: error.operation, object: error.object,
      reason: errorName(error.code) + (error.advice.isEmpty ? "" : "; \(error.advice)"))
  }
}
