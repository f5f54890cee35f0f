/// Collects an answer up to a limit and hands it over in one piece.
///
/// `@unchecked`: touched by the loop's thread alone once its transfer has been added.
final class WholeAnswer: TransferReceiver, @unchecked Sendable {
  private let limit: Int
  private let done: (Result<HTTPResponse, any Error>) -> Void
  private var headers: [(name: String, value: String)] = []
  private var collected: [UInt8] = []
  private var received = 0
  private(set) var refusal: String?

  /// - Parameter done: called once.
  init(limit: Int, done: @escaping @Sendable (Result<HTTPResponse, any Error>) -> Void) {
    self.limit = limit
    self.done = done
  }

  func header(_ line: UnsafeBufferPointer<UInt8>) -> Bool {
    guard fits(line.count) else { return false }
    let text = String(decoding: line, as: UTF8.self)
    if text.hasPrefix("HTTP/") {
      // A new status line: what came before belonged to a 1xx answer.
      headers = []
    } else if let colon = text.firstIndex(of: ":") {
      let value = text[text.index(after: colon)...].trimmed
      headers.append((text[..<colon].trimmed.lowercased(), String(value)))
    }
    return true
  }

  func body(_ bytes: UnsafeBufferPointer<UInt8>) -> TransferAcceptance {
    guard fits(bytes.count) else { return .refused }
    collected.append(contentsOf: bytes)
    return .taken
  }

  func finished(_ end: Result<Int, any Error>) {
    done(end.map { HTTPResponse(status: $0, headers: headers, body: collected) })
  }

  private func fits(_ count: Int) -> Bool {
    received += count
    if received > limit { refusal = "the answer is larger than \(limit) bytes" }
    return received <= limit
  }
}

extension Substring {
  /// Without blanks and line breaks at both ends. "\r\n" is one Character.
  var trimmed: Substring {
    let blanks: [Character] = [" ", "\t", "\r", "\n", "\r\n"]
    let start = self.drop { blanks.contains($0) }
    guard let last = start.lastIndex(where: { !blanks.contains($0) }) else { return "" }
    return start[...last]
  }
}
