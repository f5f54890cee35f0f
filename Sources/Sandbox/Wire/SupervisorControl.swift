import JSON
import Linux

/// Questions and orders about sandboxes that a running supervisor has made. Each is a connection of its own.
public struct SupervisorControl: Sendable {
  /// The supervisor's socket.
  public var socket: String

  /// Names a supervisor by its socket.
  public init(socket: String) { self.socket = socket }

  /// There is no such activation, or none that this user may know of.
  public struct NotFound: Error, Sendable, Hashable, CustomStringConvertible {
    /// The id that was asked for.
    public var activationID: String
    /// One sentence.
    public var description: String { "no activation '\(activationID)' runs; see 'botburrow sandbox list'" }
  }

  /// A sandbox in a list.
  public struct Listed: Sendable, Hashable {
    /// The request's.
    public var activationID: String
    /// The profile's name.
    public var profile: String
    /// `starting`, `running` or `frozen`.
    public var state: String
    /// PID 1 outside; nil while it starts.
    public var pid: Int64?
    /// Who asked for it.
    public var user: Int64
    /// Seconds since 1970.
    public var startedAt: Int64
    /// As it came.
    public var json: JSONValue
  }

  /// Sandboxes that this user may know of: root all, others their own.
  public func list() throws -> [Listed] {
    let answer = try ask(ClientMessage(list: true))
    return (answer["sandboxes"]?.array ?? []).compactMap { item in
      guard let id = item["activation_id"]?.string else { return nil }
      return Listed(
        activationID: id, profile: item["profile"]?.string ?? "", state: item["state"]?.string ?? "",
        pid: item["pid"]?.integer, user: item["user"]?.integer ?? 0, startedAt: item["started_at"]?.integer ?? 0,
        json: item)
    }
  }

  /// What a sandbox should look like from outside, and its receipt so far.
  public func inspect(_ activationID: String) throws -> Inspection {
    let answer = try ask(ClientMessage(inspect: activationID))
    guard let inspection = answer["inspection"].flatMap({ Inspection(json: $0) }) else {
      throw SandboxRefused("the supervisor's answer can't be read; do its version and this command's agree?")
    }
    return inspection
  }

  /// Stops every process of a sandbox, or lets them go on; returns when it is so.
  public func freeze(_ activationID: String, _ frozen: Bool = true) throws {
    _ = try ask(frozen ? ClientMessage(freeze: activationID) : ClientMessage(thaw: activationID))
  }

  private func ask(_ message: ClientMessage) throws -> JSONValue {
    let connection = try PacketSocket.connect(to: socket)
    try connection.send(try message.bytes)
    guard let packet = try connection.receive() else {
      throw SandboxRefused("the supervisor hung up without an answer")
    }
    let reply = try SupervisorMessage(parsing: packet.bytes)
    if let refused = reply.refused { throw SandboxRefused(refused) }
    guard let answer = reply.answer else { throw SandboxRefused("the supervisor's answer has nothing in it") }
    if let id = answer["missing"]?.string { throw NotFound(activationID: id) }
    return answer
  }
}
