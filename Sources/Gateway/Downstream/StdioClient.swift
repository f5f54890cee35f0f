import JSON
import NIOCore
import NIOPosix
import Synchronization

/// The client of a tool server that speaks MCP on its standard streams, one message a line (2025-11-25, "stdio"). Several calls
/// may be under way at once; ids are this client's own.
public final class StdioClient: Downstream {
  /// Bounds, and who is told.
  public struct Options: Sendable {
    /// From the start to the answer to `initialize`.
    public var startTimeout = Duration.seconds(30)
    /// One call.
    public var callTimeout = Duration.seconds(60)
    /// Bytes of one message of the server.
    public var resultLimit = 1 << 20
    /// Calls at once; more are refused.
    public var callLimit = 32
    /// Lines of standard error that are told.
    public var errorLines = 200
    /// Takes secrets out of whatever the server says.
    public var redactor = Redactor([])
    /// Told of each line of standard error, shortened.
    public var onErrorLine: @Sendable (String) -> Void = { _ in }
    /// The defaults.
    public init() {}
  }

  private struct Waiting {
    var continuation: CheckedContinuation<(JSONValue, Int), any Error>
    var timeout: Scheduled<Void>
    var progress: ProgressHandler?
  }
  private struct State {
    var lastID: Int64 = 0
    var waiting: [Int64: Waiting] = [:]
    var hasEnded = false
    var tools: [JSONValue]?
    /// Counts what the server says of changes, so that a list that was asked for before one isn't kept.
    var toolsVersion = 0
    var errorLines = 0
  }
  private let options: Options
  private let state = Mutex(State())
  private let writer: any Channel
  private let channels = Mutex<[any Channel]>([])

  private init(writer: any Channel, options: Options) {
    self.writer = writer
    self.options = options
  }

  /// Takes the ends of a server's pipes (their numbers are closed here, whatever happens) and shakes hands with it.
  /// - Parameters:
  ///   - input: the server's standard input; `output`, `errors`: what it writes.
  public static func start(
    input: Int32, output: Int32, errors: Int32, options: Options = Options()
  ) async throws(DownstreamError) -> StdioClient {
    let group = MultiThreadedEventLoopGroup.singleton
    let client: StdioClient
    do {
      let writer = try await NIOPipeBootstrap(group: group).takingOwnershipOfDescriptor(output: input).get()
      client = StdioClient(writer: writer, options: options)
      client.add(writer)
      client.add(try await client.read(output, limit: options.resultLimit, client.take, ended: client.end))
      client.add(try await client.read(errors, limit: 4096, client.takeError, ended: {}))
    } catch {
      throw .notStarted("its pipes can't be used: \(error)")
    }
    do throws(DownstreamError) {
      try await client.shakeHands()
    } catch {
      client.close()
      if case .notStarted = error { throw error }
      throw .notStarted(error.description)
    }
    return client
  }

  private func read(
    _ descriptor: Int32, limit: Int, _ deliver: @escaping @Sendable (LineReader.Line) -> Void,
    ended: @escaping @Sendable () -> Void
  ) async throws -> any Channel {
    try await NIOPipeBootstrap(group: writer.eventLoop)
      .channelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          try channel.pipeline.syncOperations.addHandler(LineReader(limit: limit, deliver: deliver, ended: ended))
        }
      }
      .takingOwnershipOfDescriptor(input: descriptor).get()
  }

  private func add(_ channel: any Channel) { channels.withLock { $0.append(channel) } }

  /// Closes its standard input: a server ends with that. What it says until then is still read.
  public func closeInput() { writer.close(promise: nil) }

  /// Closes everything; whoever waits for an answer is told.
  public func close() {
    for channel in channels.withLock({ $0 }) { channel.close(promise: nil) }
    end()
  }

  // MARK: What is asked

  private func shakeHands() async throws(DownstreamError) {
    let version = MCPVersion.newestWithHandshake.rawValue
    let (answer, _) = try await ask(
      "initialize",
      [
        "protocolVersion": .string(version), "capabilities": [:],
        "clientInfo": ["name": "botburrow", "version": "1.0.0"],
      ], within: options.startTimeout)
    // A server that knows only an older revision names it; from 2024-11-05 on tools are the same on this wire.
    guard let named = answer["protocolVersion"]?.string else {
      throw .unreadable("it has no 'protocolVersion'")
    }
    let spoken = ["2024-11-05"] + MCPVersion.allCases.filter { !$0.isStateless }.map(\.rawValue)
    guard spoken.contains(named) else {
      throw .unreadable(
        "it speaks revision '\(named.prefix(40))' of the protocol, not one of \(spoken.joined(separator: ", "))")
    }
    guard answer["capabilities"]?["tools"] != nil else { throw .unreadable("it has no tools") }
    send(["jsonrpc": "2.0", "method": "notifications/initialized"])
  }

  /// All pages of its list.
  public func tools() async throws(DownstreamError) -> [JSONValue] {
    let (known, version) = state.withLock { ($0.tools, $0.toolsVersion) }
    if let known { return known }
    let whole = try await ToolPages.all { parameters throws(DownstreamError) in
      try await ask("tools/list", parameters, within: options.callTimeout).0
    }
    state.withLock { if $0.toolsVersion == version { $0.tools = whole } }
    return whole
  }

  /// One call; its caller's own metadata stays here.
  public func call(
    _ tool: String, _ arguments: JSONValue, progress: ProgressHandler?
  ) async throws(DownstreamError) -> DownstreamResult {
    let (answer, bytes) = try await ask(
      "tools/call", ["name": .string(tool), "arguments": arguments], within: options.callTimeout, progress: progress)
    guard let members = answer.object else { throw .unreadable("its result is not an object") }
    return DownstreamResult(members: members, bytes: bytes)
  }

  /// One request. Its time-out, and its caller's end, are told to the server.
  private func ask(
    _ method: String, _ parameters: [String: JSONValue], within limit: Duration, progress: ProgressHandler? = nil
  ) async throws(DownstreamError) -> (JSONValue, Int) {
    let next = state.withLock { state -> Int64? in
      guard state.waiting.count < options.callLimit else { return nil }
      state.lastID += 1
      return state.lastID
    }
    // What it doesn't read piles up here.
    guard let id = next, writer.isWritable else { throw .refused(code: -32000, message: "too many calls at once") }
    let isCall = method == "tools/call"
    var parameters = parameters
    // Tokens are ours, as ids are: the client's stays at the gateway.
    if progress != nil { parameters["_meta"] = ["progressToken": .integer(id)] }
    let message: JSONValue = [
      "jsonrpc": "2.0", "id": .integer(id), "method": .string(method), "params": .object(parameters),
    ]
    do {
      return try await withTaskCancellationHandler {
        try await withCheckedThrowingContinuation { continuation in
          wait(for: id, continuation, within: limit, progress, isCall: isCall)
          send(message)
          // A cancellation before this point found nobody waiting.
          if Task.isCancelled { giveUp(id, .cancelled, tells: isCall) }
        }
      } onCancel: {
        self.giveUp(id, .cancelled, tells: isCall)
      }
    } catch let error as DownstreamError {
      throw error
    } catch {
      throw .ended
    }
  }

  private func wait(
    for id: Int64, _ continuation: CheckedContinuation<(JSONValue, Int), any Error>, within limit: Duration,
    _ progress: ProgressHandler?, isCall: Bool
  ) {
    let timeout = writer.eventLoop.scheduleTask(in: TimeAmount(limit)) { [weak self] in
      self?.giveUp(id, .timeout(limit), tells: isCall)
      return
    }
    let hasEnded = state.withLock { state in
      if !state.hasEnded {
        state.waiting[id] = Waiting(continuation: continuation, timeout: timeout, progress: progress)
      }
      return state.hasEnded
    }
    if hasEnded {
      timeout.cancel()
      continuation.resume(throwing: DownstreamError.ended)
    }
  }

  private func giveUp(_ id: Int64, _ error: DownstreamError, tells: Bool) {
    guard let waiting = state.withLock({ $0.waiting.removeValue(forKey: id) }) else { return }
    waiting.timeout.cancel()
    if tells {
      send([
        "jsonrpc": "2.0", "method": "notifications/cancelled",
        "params": ["requestId": .integer(id), "reason": .string(error.description)],
      ])
    }
    waiting.continuation.resume(throwing: error)
  }

  private func send(_ message: JSONValue) {
    var buffer = ByteBuffer(string: message.compactText)
    buffer.writeInteger(UInt8(ascii: "\n"))
    writer.writeAndFlush(buffer, promise: nil)
  }

  // MARK: What is said

  private func take(_ line: LineReader.Line) {
    switch line {
    case .whole(let bytes):
      if bytes.allSatisfy({ $0 == 32 || $0 == 13 || $0 == 9 }) { return }
      // What isn't JSON is a print that went astray; the protocol goes on around it.
      guard let message = try? JSONValue(parsing: options.redactor.redacted(bytes)) else { return }
      take(message, bytes: bytes.count)
    case .cut(let head, let tail):
      if let id = Self.id(head: head, tail: tail) { giveUp(id, .tooLarge(limit: options.resultLimit), tells: false) }
    }
  }

  private func take(_ message: JSONValue, bytes: Int) {
    if let method = message["method"]?.string {
      guard let id = message["id"] else {
        if method == "notifications/tools/list_changed" {
          state.withLock { ($0.tools, $0.toolsVersion) = (nil, $0.toolsVersion + 1) }
        } else if method == "notifications/progress", let progress = CallProgress(message["params"]) {
          let token = message["params"]?["progressToken"]?.integer
          // Of a call that is over, or of none, nobody wants to hear.
          token.flatMap { token in state.withLock { $0.waiting[token]?.progress } }?(progress)
        }
        return
      }
      // A server that asks and doesn't read gets no answers that pile up here.
      guard writer.isWritable else { return }
      send(
        method == "ping"
          ? ["jsonrpc": "2.0", "id": id, "result": [:]] : RPCError.unknownMethod(method).response(to: id))
      return
    }
    guard let id = message["id"]?.integer, let waiting = state.withLock({ $0.waiting.removeValue(forKey: id) }) else {
      return
    }
    waiting.timeout.cancel()
    if let result = message["result"] {
      waiting.continuation.resume(returning: (result, bytes))
    } else if let error = message["error"] {
      waiting.continuation.resume(throwing: DownstreamError.refused(by: error))
    } else {
      waiting.continuation.resume(throwing: DownstreamError.unreadable("it has neither 'result' nor 'error'"))
    }
  }

  /// The id of a message of which only beginning and end were kept. Nil where it isn't the message's own for certain: inside
  /// a result "id" is somebody else's word.
  static func id(head: [UInt8], tail: [UInt8]) -> Int64? {
    let first = /^\s*\{\s*(?:"jsonrpc"\s*:\s*"2\.0"\s*,\s*)?"id"\s*:\s*([0-9]+)\s*,/
    let last =
      /[\}\]]\s*,\s*(?:"jsonrpc"\s*:\s*"2\.0"\s*,\s*)?"id"\s*:\s*([0-9]+)\s*(?:,\s*"jsonrpc"\s*:\s*"2\.0"\s*)?\}\s*$/
    let found =
      String(decoding: head, as: UTF8.self).prefixMatch(of: first)?.output.1
      ?? String(decoding: tail, as: UTF8.self).firstMatch(of: last)?.output.1
    return found.flatMap { Int64($0) }
  }

  private func takeError(_ line: LineReader.Line) {
    let bytes: [UInt8]
    switch line {
    case .whole(let whole): bytes = whole
    case .cut(let head, _): bytes = head
    }
    let number = state.withLock { state in
      state.errorLines += 1
      return state.errorLines
    }
    guard number <= options.errorLines, !bytes.isEmpty else { return }
    let text = String(decoding: options.redactor.redacted(bytes), as: UTF8.self)
    options.onErrorLine(number == options.errorLines ? "\(text) (further lines are left out)" : text)
  }

  private func end() {
    let waiting = state.withLock { state in
      state.hasEnded = true
      defer { state.waiting = [:] }
      return state.waiting.values.map { $0 }
    }
    for one in waiting {
      one.timeout.cancel()
      one.continuation.resume(throwing: DownstreamError.ended)
    }
  }
}
