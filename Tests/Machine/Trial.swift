import Glibc
import JSON
import Linux
import Sandbox

/// A sandbox of the running supervisor, with a program of ours inside whose words can be waited for.
final class Trial {
  static let socket = "/run/botburrow/supervisor.sock"
  static let program = "/usr/local/libexec/botburrow/botburrow-machine"
  let id: String
  private let connection: SandboxConnection
  private let input: Descriptor
  private let output: Descriptor
  private var pending: [UInt8] = []
  nonisolated(unsafe) private static var number = 0

  /// Starts `inside` words of this very program, or any command.
  init(
    _ arguments: [String], profile: String = "default", limits: SandboxRequest.Limits = .init(),
    workspace: String? = nil
  ) throws {
    Self.number += 1
    id = "machine-\(Self.number)"
    let (stdin, stdout) = (try makePipe(), try makePipe())
    input = stdin.write
    output = stdout.read
    connection = try SandboxConnection.open(Self.socket)
    try connection.spawn(
      SandboxRequest(activationID: id, profile: profile, arguments: arguments, limits: limits, workspace: workspace),
      streams: [stdin.read, stdout.write, stdout.write], files: [])
  }

  convenience init(
    inside words: String..., profile: String = "default", limits: SandboxRequest.Limits = .init(),
    workspace: String? = nil
  ) throws {
    try self.init([Self.program, "inside"] + words, profile: profile, limits: limits, workspace: workspace)
  }

  /// The next line that the program prints.
  func line(within limit: Duration = .seconds(60)) throws -> String {
    let deadline = ContinuousClock.now + limit
    while true {
      if let end = pending.firstIndex(of: UInt8(ascii: "\n")) {
        defer { pending.removeSubrange(...end) }
        return String(decoding: pending[..<end], as: UTF8.self)
      }
      guard try waitReadable([output], timeout: max(.zero, deadline - ContinuousClock.now))[0] else {
        throw Unmet("no word from inside within \(limit.milliseconds) ms")
      }
      var buffer = [UInt8](repeating: 0, count: 4096)
      let count = read(output.number, &buffer, buffer.count)
      // The reason stands in the receipt.
      if count <= 0 { throw Unmet("the program inside is gone: \(try end().exit)") }
      pending += buffer[..<count]
    }
  }

  /// Waits for a line.
  func line(_ expected: String) throws {
    let said = try line()
    try expect(said == expected, "inside it says '\(said)', not '\(expected)'")
  }

  /// Says a line to the program.
  func say(_ line: String) throws { try input.write((line + "\n").utf8) }

  /// The sandbox's cgroup.
  func group() throws -> ControlGroup {
    guard let group = try Unit.supervisor.group().descendant(named: id) else { throw Unmet("no cgroup named \(id)") }
    return group
  }

  /// One of its files; a limit that isn't there is no limit.
  func value(_ file: String) throws -> String {
    guard let value = try group().value(file) else { throw Unmet("the sandbox's cgroup has no \(file)") }
    return value
  }

  /// Lets the program end, where it waits for that, and gives the receipt.
  func finish() throws -> Receipt {
    input.close()
    return try end()
  }

  /// Waits for the end that comes by itself.
  func end(within limit: Duration = .seconds(120)) throws -> Receipt {
    let deadline = ContinuousClock.now + limit
    while try waitReadable([connection.descriptor], timeout: max(.zero, deadline - ContinuousClock.now))[0] {
      if case .ended(let receipt) = try connection.next() { return receipt }
    }
    connection.hangUp()
    throw Unmet("the sandbox did not end within \(limit.milliseconds) ms")
  }

  /// What the program printed besides, after its end.
  func rest() throws -> String {
    String(decoding: pending + (try output.readAll(limit: 1 << 20)), as: UTF8.self)
  }
}

let mebibyte = 1 << 20
