import Glibc
import JSON
import Linux
import Synchronization

/// Runs programs through a supervisor's socket and collects their output.
public struct SupervisorLauncher: SandboxLauncher {
  let path: String
  /// Standard error that is kept: the last so many bytes.
  private static let errorLimit = 64 << 10

  private let onErrorOutput: (@Sendable ([UInt8]) -> Void)?

  /// - Parameters:
  ///   - socket: where the supervisor listens.
  ///   - onErrorOutput: sees standard error as it comes, besides what is kept of it.
  public init(socket: String, onErrorOutput: (@Sendable ([UInt8]) -> Void)? = nil) {
    path = socket
    self.onErrorOutput = onErrorOutput
  }

  /// One connection an activation; throws `SandboxRefused`, `LinuxError` or what `serve` threw.
  public func run(
    _ request: SandboxRequest, files: [[UInt8]], input: [UInt8], outputLimit: Int, end: SandboxEnd?,
    serve: @escaping @Sendable ([String: Int32]) async throws -> Void
  ) async throws -> SandboxResult {
    let connection = try SandboxConnection.open(path)
    do {
      return try await run(
        request, files: files, input: input, outputLimit: outputLimit, end: end, serve: serve, through: connection)
    } catch {
      // Hanging up makes the supervisor seem to have gone; who cancelled shouldn't read that.
      try Task.checkCancellation()
      throw error
    }
  }

  private func run(
    _ request: SandboxRequest, files: [[UInt8]], input: [UInt8], outputLimit: Int, end: SandboxEnd?,
    serve: @escaping @Sendable ([String: Int32]) async throws -> Void, through connection: SandboxConnection
  ) async throws -> SandboxResult {
    try await withTaskCancellationHandler {
      let (outRead, outWrite) = try makePipe()
      let (errorRead, errorWrite) = try makePipe()
      // A sealed file, not a pipe: nobody has to feed it, and a program that never reads can't block us.
      var request = request
      if let term = end?.term { request.term = term }
      let inputFile = try Descriptor.sealed(input, name: "stdin")
      try inputFile.rewind()
      try connection.spawn(
        request, streams: [inputFile, outWrite, errorWrite], files: files)
      // The order must not overtake the request.
      try end?.attach(
        requested: request.term, end: { try connection.end() }, postpone: { try connection.postpone(to: $0) })
      outWrite.close()
      errorWrite.close()
      let output = Collector(limit: outputLimit, keepsEnd: false)
      let errors = Collector(limit: Self.errorLimit, keepsEnd: true, onBytes: onErrorOutput)
      let session = Session(connection: connection, output: (outRead, output), errors: (errorRead, errors))
      let early = try await connection.opened(request, serve: serve)
      let receipt = if let early { early } else { try await Thread.run { try session.receipt() } }
      let (text, truncated) = output.content
      return SandboxResult(
        output: text, outputTruncated: truncated, errorOutput: errors.content.bytes, receipt: receipt)
    } onCancel: {
      connection.hangUp()
    }
  }

}

extension SandboxConnection {
  /// Has the listeners served that a request asked for. The receipt, where the sandbox could not be made.
  func opened(
    _ request: SandboxRequest, serve: @Sendable ([String: Int32]) async throws -> Void
  ) async throws -> Receipt? {
    // Without a wish for some, the supervisor says nothing of them.
    var listeners: [String: Descriptor] = [:]
    if !request.listeners.isEmpty {
      switch try await Thread.run({ try self.next() }) {
      case .listening(let opened): listeners = opened
      case .started: throw SandboxRefused("the supervisor's first answer is not 'listening'")
      case .ended(let receipt): return receipt
      }
    }
    do {
      try await serve(listeners.mapValues { $0.release() })
    } catch {
      hangUp()
      throw error
    }
    return nil
  }
}

/// Reads the supervisor's words and the program's output together on one thread.
private struct Session: Sendable {
  let connection: SandboxConnection
  let output: (Descriptor, Collector)
  let errors: (Descriptor, Collector)

  /// Returns with the receipt. By then nothing of the sandbox lives, so what is in the pipes is all. Their end is not
  /// waited for: a process that even SIGKILL could not end may hold them, and must not hold us.
  func receipt() throws -> Receipt {
    var open = [output, errors]
    while true {
      let readable = try waitReadable([connection.descriptor] + open.map(\.0), timeout: nil)
      for (pipe, readable) in zip(open, readable.dropFirst()).reversed() where readable {
        if try !pipe.1.take(from: pipe.0) { open.removeAll { $0.0 === pipe.0 } }
      }
      if readable[0], case .ended(let receipt) = try connection.next() {
        for pipe in open { while try waitReadable([pipe.0], timeout: .zero)[0], try pipe.1.take(from: pipe.0) {} }
        return receipt
      }
    }
  }
}

/// Keeps the beginning or the end of a stream.
private final class Collector: Sendable {
  private let limit: Int
  private let keepsEnd: Bool
  private let state = Mutex<(bytes: [UInt8], truncated: Bool)>(([], false))

  private let onBytes: (@Sendable ([UInt8]) -> Void)?

  init(limit: Int, keepsEnd: Bool, onBytes: (@Sendable ([UInt8]) -> Void)? = nil) {
    self.onBytes = onBytes
    self.limit = limit
    self.keepsEnd = keepsEnd
  }

  var content: (bytes: [UInt8], truncated: Bool) { state.withLock { $0 } }

  /// Takes what is there; false at the end of the stream.
  func take(from pipe: Descriptor) throws(LinuxError) -> Bool {
    var buffer = [UInt8](repeating: 0, count: 65536)
    let count = withExtendedLifetime(pipe) {
      buffer.withUnsafeMutableBytes { read(pipe.number, $0.baseAddress, $0.count) }
    }
    if count < 0 && errno == EINTR { return true }
    if count < 0 { throw LinuxError.last("read", "the program's output") }
    if count == 0 { return false }
    onBytes?(Array(buffer[..<count]))
    state.withLock { state in
      state.bytes += buffer[..<count]
      if state.bytes.count > limit {
        state.truncated = true
        if keepsEnd {
          state.bytes.removeFirst(state.bytes.count - limit)
        } else {
          state.bytes.removeLast(state.bytes.count - limit)
        }
      }
    }
    return true
  }
}
