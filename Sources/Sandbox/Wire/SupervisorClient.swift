import Glibc
import JSON
import Linux

/// A sandbox as its client sees it: one connection to the supervisor. Letting go of it ends the sandbox.
public final class SandboxConnection: Sendable {
  private let socket: PacketSocket
  /// For poll(2): readable when the supervisor has something to say.
  public var descriptor: Descriptor { socket.descriptor }

  /// Something the supervisor said.
  public enum Answer: Sendable {
    /// Listening sockets of the gateway address, by the request's names.
    case listening([String: Descriptor])
    /// The walls are up and the program may run.
    case started
    case ended(Receipt)
  }

  /// Uses a connection that is there.
  public init(_ socket: PacketSocket) { self.socket = socket }

  /// Connects to a running supervisor.
  public static func open(_ path: String) throws(LinuxError) -> SandboxConnection {
    SandboxConnection(try PacketSocket.connect(to: path))
  }

  /// Asks for a sandbox. `streams`: the program's stdin, stdout, stderr; `files`: contents of `request.files`; `secrets`:
  /// variables for a request that `hasSecrets`.
  public func spawn(
    _ request: SandboxRequest, streams: [Descriptor], files: [[UInt8]], secrets: [String: String] = [:]
  ) throws {
    var sealed = try zip(request.files, files).map { try Descriptor.sealed($1, name: $0.path) }
    if request.hasSecrets { sealed.append(try SecretEnvironment.sealed(secrets)) }
    let message = try ClientMessage(spawn: request).bytes
    if message.count > PacketSocket.packetLimit {
      throw SandboxRefused(
        "arguments and environment take \(message.count) bytes, \(PacketSocket.packetLimit) are the limit; use files")
    }
    try socket.send(message, descriptors: streams + sealed)
  }

  /// Sends a signal to the program's process group.
  public func signal(_ number: Int32) throws {
    try socket.send(try ClientMessage(signal: number).bytes)
  }

  /// Ends the sandbox and keeps the connection: its receipt (`cancelled`) still comes. One that ended by itself in the
  /// meantime tells that instead.
  public func end() throws {
    try socket.send(try ClientMessage(end: true).bytes)
  }

  /// Puts off when the supervisor ends the sandbox, for a request with a term.
  public func postpone(to term: BootTime) throws {
    try socket.send(try ClientMessage(term: term).bytes)
  }

  /// Waits for the next answer. Throws `SandboxRefused` where the supervisor would not, or went away.
  public func next() throws -> Answer {
    guard let packet = try socket.receive() else {
      throw SandboxRefused("the supervisor went away; the sandbox ended with it")
    }
    let message = try SupervisorMessage(parsing: packet.bytes)
    if let names = message.listening {
      return .listening(Dictionary(zip(names, packet.descriptors)) { first, _ in first })
    }
    if message.started == true { return .started }
    if let json = message.ended, let cause = ExitCause(json: json["exit"]) {
      return .ended(Receipt(activationID: json["activation_id"]?.string ?? "", exit: cause, json: json))
    }
    throw SandboxRefused(message.refused ?? "the supervisor's answer has nothing in it")
  }

  /// Ends the sandbox, now, and waits for no receipt.
  public func hangUp() {
    _ = withExtendedLifetime(socket) { shutdown(socket.descriptor.number, Int32(SHUT_RDWR)) }
  }
}
