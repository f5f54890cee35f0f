import Glibc
import Linux

/// A sandbox whose program talks with us by its standard streams, such as a tool server. Letting go of it ends it.
public final class AttachedSandbox: Sendable {
  /// What the program writes, and the two ways to it. Whoever takes a number closes it.
  public struct Streams: Sendable {
    /// The program's standard input.
    public let input: Descriptor
    /// Its standard output.
    public let output: Descriptor
    /// Its standard error.
    public let errors: Descriptor
  }
  /// Pipes to the program.
  public let streams: Streams
  private let connection: SandboxConnection

  init(streams: Streams, connection: SandboxConnection) {
    self.streams = streams
    self.connection = connection
  }

  /// Sends a signal to the program's process group; one that has ended is no error.
  public func signal(_ number: Int32) { try? connection.signal(number) }

  /// Ends the sandbox, now.
  public func hangUp() { connection.hangUp() }

  /// Waits for the end. Throws `SandboxRefused` where there is no receipt, because it was hung up or the supervisor is gone.
  public func receipt() async throws -> Receipt {
    let connection = self.connection
    return try await Thread.run {
      while true { if case .ended(let receipt) = try connection.next() { return receipt } }
    }
  }
}

/// Starts programs that talk by their standard streams; what tests replace.
public protocol SandboxAttacher: Sendable {
  /// Asks for a sandbox and returns when its listeners are served; the program starts about then.
  /// - Parameters:
  ///   - files: contents of `request.files`, in that order.
  ///   - secrets: variables beside the request's, for a request that `hasSecrets`.
  ///   - serve: as in `SandboxLauncher.run`.
  func attach(
    _ request: SandboxRequest, files: [[UInt8]], secrets: [String: String],
    serve: @escaping @Sendable ([String: Int32]) async throws -> Void
  ) async throws -> AttachedSandbox
}

extension SupervisorLauncher: SandboxAttacher {
  /// One connection a sandbox; throws `SandboxRefused`, `LinuxError` or what `serve` threw.
  public func attach(
    _ request: SandboxRequest, files: [[UInt8]], secrets: [String: String],
    serve: @escaping @Sendable ([String: Int32]) async throws -> Void
  ) async throws -> AttachedSandbox {
    let connection = try SandboxConnection.open(path)
    let (stdin, input) = try makePipe()
    let (output, stdout) = try makePipe()
    let (errors, stderr) = try makePipe()
    try connection.spawn(request, streams: [stdin, stdout, stderr], files: files, secrets: secrets)
    for end in [stdin, stdout, stderr] { end.close() }
    if let receipt = try await connection.opened(request, serve: serve) {
      throw SandboxRefused("the sandbox ended before it began: \(receipt.exit)")
    }
    return AttachedSandbox(streams: .init(input: input, output: output, errors: errors), connection: connection)
  }
}
