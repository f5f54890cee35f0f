import Synchronization

/// An answer whose body comes in as it is sent.
public struct HTTPStreamedResponse: Sendable {
  /// The status code.
  public var status: Int
  /// Names in lower case.
  public var headers: [(name: String, value: String)]
  /// What comes below the headers.
  public var body: HTTPBody
  /// The first header of that name (any case).
  public func header(_ name: String) -> String? {
    let wanted = name.lowercased()
    return headers.first { $0.name == wanted }?.value
  }
}

/// A body in pieces. One task reads it. What isn't read is not asked for: the server has to wait (`HTTPBody.limit`).
/// Letting go of it ends the transfer.
public final class HTTPBody: Sendable {
  /// Bytes that are held for a slow reader.
  static let limit = 256 << 10
  private let answer: StreamedAnswer
  private let cancelTransfer: @Sendable () -> Void

  init(_ answer: StreamedAnswer, cancel: @escaping @Sendable () -> Void) {
    self.answer = answer
    cancelTransfer = cancel
  }

  deinit { if !answer.isOver { cancelTransfer() } }

  /// The next bytes, at least one; nil at the end. Throws `HTTPClientError` where the answer was cut, and
  /// `CancellationError` where the task or the transfer was cancelled.
  public func next() async throws -> [UInt8]? {
    try await withTaskCancellationHandler {
      try await withCheckedThrowingContinuation { answer.read($0) }
    } onCancel: {
      cancelTransfer()
    }
  }

  /// Ends the transfer. May be called at any time.
  public func cancel() { cancelTransfer() }
}

/// Hands an answer over piece by piece, and pauses the transfer while its reader is behind.
final class StreamedAnswer: TransferReceiver {
  private struct State {
    var status = 0
    var headers: [(name: String, value: String)] = []
    var headerBytes = 0
    var head: CheckedContinuation<Void, any Error>?
    var headIsDone = false
    var held: [UInt8] = []
    var reader: CheckedContinuation<[UInt8]?, any Error>?
    var isPaused = false
    var end: Result<Int, any Error>?
    var refusal: String?
  }
  private let state: Mutex<State>
  private let resume: @Sendable () -> Void

  /// - Parameters:
  ///   - head: resumed once the head is whole, or with the reason why there is none.
  ///   - resume: lets a paused transfer go on.
  init(head: CheckedContinuation<Void, any Error>, resume: @escaping @Sendable () -> Void) {
    var state = State()
    state.head = head
    self.state = Mutex(state)
    self.resume = resume
  }

  var refusal: String? { state.withLock { $0.refusal } }
  /// The transfer has ended; there may be bytes yet to read.
  var isOver: Bool { state.withLock { $0.end != nil } }
  /// Known once the head's continuation was resumed.
  var head: (status: Int, headers: [(name: String, value: String)]) { state.withLock { ($0.status, $0.headers) } }

  func header(_ line: UnsafeBufferPointer<UInt8>) -> Bool {
    let text = String(decoding: line, as: UTF8.self)
    let (accepted, head) = state.withLock { state -> (Bool, CheckedContinuation<Void, any Error>?) in
      state.headerBytes += line.count
      guard state.headerBytes <= 256 << 10 else {
        state.refusal = "the answer's head is too large"
        return (false, nil)
      }
      if text.hasPrefix("HTTP/") {
        // A new status line: what came before belonged to a 1xx answer.
        state.headers = []
        state.status = text.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
      } else if let colon = text.firstIndex(of: ":") {
        let value = text[text.index(after: colon)...].trimmed
        state.headers.append((text[..<colon].trimmed.lowercased(), String(value)))
      } else if text.allSatisfy(\.isNewline), state.status >= 200 {
        return (true, Self.finishHead(&state))
      }
      return (true, nil)
    }
    head?.resume()
    return accepted
  }

  func body(_ bytes: UnsafeBufferPointer<UInt8>) -> TransferAcceptance {
    let (accepted, reader) = state.withLock {
      state -> (TransferAcceptance, CheckedContinuation<[UInt8]?, any Error>?) in
      if let reader = state.reader {
        state.reader = nil
        return (.taken, reader)
      }
      // A paused piece is delivered again: nothing of it may be kept.
      guard state.held.isEmpty || state.held.count + bytes.count <= HTTPBody.limit else {
        state.isPaused = true
        return (.paused, nil)
      }
      state.held += bytes
      return (.taken, nil)
    }
    reader?.resume(returning: Array(bytes))
    return accepted
  }

  func finished(_ end: Result<Int, any Error>) {
    let (head, reader) = state.withLock { state in
      state.end = end
      let head = Self.finishHead(&state)
      defer { state.reader = nil }
      return (head, state.reader)
    }
    switch end {
    case .success:
      head?.resume()
      reader?.resume(returning: nil)
    case .failure(let error):
      head?.resume(throwing: error)
      reader?.resume(throwing: error)
    }
  }

  func read(_ reader: CheckedContinuation<[UInt8]?, any Error>) {
    enum Now { case bytes([UInt8]), end(Result<Int, any Error>), later }
    let (now, wasPaused) = state.withLock { state -> (Now, Bool) in
      if !state.held.isEmpty {
        let bytes = state.held
        state.held = []
        let wasPaused = state.isPaused
        state.isPaused = false
        return (.bytes(bytes), wasPaused)
      }
      if let end = state.end { return (.end(end), false) }
      state.reader = reader
      return (.later, false)
    }
    if wasPaused { resume() }
    switch now {
    case .bytes(let bytes): reader.resume(returning: bytes)
    case .end(.success): reader.resume(returning: nil)
    case .end(.failure(let error)): reader.resume(throwing: error)
    case .later: break
    }
  }

  private static func finishHead(_ state: inout State) -> CheckedContinuation<Void, any Error>? {
    guard !state.headIsDone else { return nil }
    state.headIsDone = true
    defer { state.head = nil }
    return state.head
  }
}
