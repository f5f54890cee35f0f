/// Reads one HTTP/1.1 answer as it comes in (RFC 9112, sections 4 to 7): bytes in, pieces of the body out. Pure.
public struct AnswerReader: Sendable {
  /// An answer that can't be read on, in a few words.
  public struct Broken: Error, Sendable, Hashable {
    /// The words.
    public var reason: String
  }

  /// 0 until the head is there.
  public private(set) var status = 0
  /// Names in lower case.
  public private(set) var headers: [String: String] = [:]
  /// The body has ended.
  public private(set) var isComplete = false

  private enum Part { case head, length(Int), chunkSize, chunk(Int), chunkEnd, trailer, untilClose }
  private var part = Part.head
  private var line: [UInt8] = []
  private static let lineLimit = 64 << 10

  /// Nothing read yet.
  public init() {}

  /// Takes the next bytes; gives what of the body is in them.
  public mutating func take(_ bytes: ArraySlice<UInt8>) throws(Broken) -> [UInt8] {
    var rest = bytes
    var body: [UInt8] = []
    while !rest.isEmpty, !isComplete {
      switch part {
      case .untilClose:
        body += rest
        rest = []
      case .length(let count): (rest, part) = takeBody(rest, count, &body) { .length($0) }
      case .chunk(let count):
        (rest, part) = takeBody(rest, count, &body) { .chunk($0) }
        if case .chunk(0) = part { part = .chunkEnd }
      case .head, .chunkSize, .chunkEnd, .trailer:
        guard let text = try takeLine(&rest) else { break }
        try end(text)
      }
      if case .length(0) = part { isComplete = true }
    }
    return body
  }

  /// The connection was closed. True: the answer is whole.
  public mutating func close() -> Bool {
    if case .untilClose = part { isComplete = true }
    return isComplete
  }

  private func takeBody(
    _ rest: ArraySlice<UInt8>, _ count: Int, _ body: inout [UInt8], _ next: (Int) -> Part
  ) -> (ArraySlice<UInt8>, Part) {
    let piece = rest.prefix(count)
    body += piece
    return (rest.dropFirst(piece.count), next(count - piece.count))
  }

  private mutating func takeLine(_ rest: inout ArraySlice<UInt8>) throws(Broken) -> String? {
    while let byte = rest.popFirst() {
      if byte == 10 {
        if line.last == 13 { line.removeLast() }
        defer { line = [] }
        return String(decoding: line, as: UTF8.self)
      }
      line.append(byte)
      if line.count > Self.lineLimit { throw Broken(reason: "a line of the answer's head is too long") }
    }
    return nil
  }

  private mutating func end(_ text: String) throws(Broken) {
    switch part {
    case .chunkEnd: part = .chunkSize
    case .trailer: if text.isEmpty { isComplete = true }
    case .chunkSize:
      let digits = text.prefix { $0 != ";" && !$0.isWhitespace }
      guard let size = Int(digits, radix: 16), size >= 0 else {
        throw Broken(reason: "a chunk of the answer has no size")
      }
      part = size == 0 ? .trailer : .chunk(size)
    default: try endHeadLine(text)
    }
  }

  private mutating func endHeadLine(_ text: String) throws(Broken) {
    if status == 0 {
      let words = text.split(separator: " ", maxSplits: 2)
      guard words.count >= 2, words[0].hasPrefix("HTTP/1."), let code = Int(words[1]) else {
        throw Broken(reason: "what answered doesn't speak HTTP/1.1")
      }
      status = code
    } else if text.isEmpty {
      try endHead()
    } else if let colon = text.firstIndex(of: ":") {
      headers[text[..<colon].lowercased()] = trimmed(text[text.index(after: colon)...])
    }
    if headers.count > 200 { throw Broken(reason: "the answer has more than 200 headers") }
  }

  private mutating func endHead() throws(Broken) {
    // 100 and its like come before the answer proper.
    if (100..<200).contains(status) {
      (status, headers) = (0, [:])
    } else if headers["transfer-encoding"]?.lowercased() == "chunked" {
      part = .chunkSize
    } else if let text = headers["content-length"] {
      guard let count = Int(text), count >= 0 else { throw Broken(reason: "the answer's Content-Length is no number") }
      part = .length(count)
    } else {
      part = status == 204 || status == 304 ? .length(0) : .untilClose
    }
  }
}
