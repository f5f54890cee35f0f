import Glibc
import Linux
import Sandbox

/// Runs a command in sandboxes of a private supervisor each: recorded under a wide profile, and for real under the learned one.
public struct SandboxedRun {
  /// Starts a supervisor for one sandbox, with the profiles of this directory.
  public var connect: (_ profiles: String) throws -> SandboxConnection
  /// Arguments with which this program calls `RecordedChild.run`.
  public var childArguments: [String]
  /// Where the command's output goes.
  public var output: Descriptor
  /// Passed on to the command.
  public var signals: SignalWatch
  /// Names all of them.
  public init(
    connect: @escaping (_ profiles: String) throws -> SandboxConnection, childArguments: [String], output: Descriptor,
    signals: SignalWatch
  ) {
    (self.connect, self.childArguments, self.output, self.signals) = (connect, childArguments, output, signals)
  }

  /// Loopback ports that the recorded command connected to: the sandbox's gateway gets them.
  static func ports(_ recording: Recording) -> [UInt16] {
    Array(Set(recording.connections.keys.filter(\.isLoopback).compactMap(\.port)).sorted().prefix(16))
  }

  /// Under the profile as it is.
  func run(_ command: Command, profile: Profile, profiles: String, ports: [UInt16]) throws -> ExitCause {
    let order = command.insideOrder(base: profile)
    let connection = try connect(profiles)
    try connection.spawn(
      request(profile.name, order.arguments, order.environment, profile.network == .none ? [] : ports),
      streams: [try Descriptor.open(command.inputPath), output, output], files: [])
    while true {
      let readable = try waitReadable([connection.descriptor, signals.descriptor], timeout: nil)
      if readable[1] { try connection.signal(signals.next()) }
      if readable[0], let end = try hear(connection) { return end }
    }
  }

  /// Recorded: `profile` shows `program`, and `policy` says what the command may do.
  func record(
    _ command: Command, profile: Profile, profiles: String, ports: [UInt16], program: String, policy: RecordingPolicy
  ) throws -> (recording: Recording, end: ExitCause) {
    let order = command.insideOrder(base: profile)
    let (mine, theirs) = try PacketSocket.pair()
    let connection = try connect(profiles)
    let libraries = ["LD_LIBRARY_PATH": parentPath(program)]
    try connection.spawn(
      request(profile.name, [program] + childArguments, libraries, profile.network == .none ? [] : ports),
      streams: [theirs.descriptor, output, output], files: [])
    theirs.descriptor.close()
    let control = ChildControl(socket: mine)
    try control.send(order, input: try Descriptor.open(command.inputPath))
    // What the supervisor says comes first: it knows why a child never speaks.
    while true {
      let readable = try waitReadable([connection.descriptor, mine.descriptor], timeout: nil)
      if readable[0] {
        if let end = try hear(connection) { throw LearnError("the recorder's sandbox ended early: \(end)") }
      } else if readable[1] {
        break
      }
    }
    let recorder = Recorder(
      try control.listener(), policy: policy, identity: Identity(uid: 0, gid: 0), followsPaths: false)
    while true {
      switch try recorder.serve(until: [connection.descriptor, signals.descriptor]) {
      case 1: try connection.signal(signals.next())
      case 0: if let end = try hear(connection) { return (recorder.recording, end) }
      default:
        // Nobody is left to make a call: the rest is the supervisor's.
        while true { if let end = try hear(connection) { return (recorder.recording, end) } }
      }
    }
  }

  private func request(
    _ profile: String, _ arguments: [String], _ environment: [String: String], _ ports: [UInt16]
  ) -> SandboxRequest {
    SandboxRequest(
      activationID: "learn-\(getpid())-\(UInt32.random(in: 0...UInt32.max))", profile: profile, arguments: arguments,
      environment: environment, listeners: ports.map { .init(name: "port-\($0)", port: $0) })
  }

  /// One word of the supervisor; the end, when it is that.
  private func hear(_ connection: SandboxConnection) throws -> ExitCause? {
    switch try connection.next() {
    case .listening(let listeners):
      for (name, listener) in listeners {
        if let port = UInt16(name.dropFirst("port-".count)) { GatewayRelay.serve(listener, port: port) }
      }
    case .started: break
    case .ended(let receipt): return receipt.exit
    }
    return nil
  }
}
