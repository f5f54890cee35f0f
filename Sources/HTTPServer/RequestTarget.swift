/// A request target (RFC 9112 §3.2) taken apart and decoded, or the sentence why it can't be.
struct RequestTarget: Sendable, Equatable {
  var path: String
  var segments: [String]
  var query: [(name: String, value: String)]
  var rawQuery = ""

  /// Reads origin-form, absolute-form and `*`. Strict: a bad escape, a NUL, bytes that are not UTF-8, `.` and `..` are
  /// errors, so that nothing behind the server sees a path that two readers could understand differently.
  init(parsing target: String) throws(ServerRefusal) {
    if target == "*" {
      (path, segments, query) = ("*", ["*"], [])
      return
    }
    var rest = Substring(target)
    if !rest.hasPrefix("/") {
      guard let scheme = rest.range(of: "://"), let slash = rest[scheme.upperBound...].firstIndex(where: { $0 == "/" })
      else { throw Self.malformed("the request target '\(target.clipped)' does not start with /") }
      rest = rest[slash...]
    }
    if let fragment = rest.firstIndex(of: "#") { rest = rest[..<fragment] }
    let parts = rest.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
    var decoded: [String] = []
    for segment in parts[0].split(separator: "/") {
      let text = try Self.decode(segment, plusIsSpace: false, of: "path")
      guard text != ".", text != ".." else { throw Self.malformed("the path has a '\(text)' segment") }
      decoded.append(text)
    }
    segments = decoded
    path = "/" + decoded.joined(separator: "/")
    if path.count > 1, parts[0].hasSuffix("/") { path += "/" }
    query = parts.count > 1 ? try Self.pairs(parts[1]) : []
    rawQuery = parts.count > 1 ? String(parts[1]) : ""
  }

  /// `application/x-www-form-urlencoded` pairs: a query or the body of an HTML form.
  static func pairs(_ text: Substring) throws(ServerRefusal) -> [(name: String, value: String)] {
    var pairs: [(name: String, value: String)] = []
    for pair in text.split(separator: "&") {
      let halves = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      pairs.append(
        (
          name: try decode(halves[0], plusIsSpace: true, of: "query"),
          value: halves.count > 1 ? try decode(halves[1], plusIsSpace: true, of: "query") : ""
        ))
    }
    return pairs
  }

  static func == (one: RequestTarget, other: RequestTarget) -> Bool {
    one.path == other.path && one.segments == other.segments
      && one.query.map(\.name) == other.query.map(\.name) && one.query.map(\.value) == other.query.map(\.value)
  }

  private static func decode(
    _ text: Substring, plusIsSpace: Bool, of place: String
  ) throws(ServerRefusal) -> String {
    var bytes: [UInt8] = []
    var input = text.utf8.makeIterator()
    while let byte = input.next() {
      switch byte {
      case UInt8(ascii: "%"):
        guard let high = input.next().flatMap(hex), let low = input.next().flatMap(hex) else {
          throw malformed("the \(place) has a '%' that is not followed by two hexadecimal digits")
        }
        bytes.append(high << 4 | low)
      case UInt8(ascii: "+") where plusIsSpace: bytes.append(UInt8(ascii: " "))
      default: bytes.append(byte)
      }
    }
    guard !bytes.contains(0) else { throw malformed("the \(place) has a NUL byte") }
    guard let decoded = String(validating: bytes, as: UTF8.self) else {
      throw malformed("the \(place) is not UTF-8 after percent-decoding")
    }
    return decoded
  }

  private static func hex(_ byte: UInt8) -> UInt8? {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
    case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
    case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
    default: nil
    }
  }

  private static func malformed(_ sentence: String) -> ServerRefusal {
    ServerRefusal(status: 400, code: "bad_request", message: sentence)
  }
}

extension ServerRequest {
  /// The pairs of an HTML form's body; a refusal (400) where it is not one.
  public func form() throws(ServerRefusal) -> [(name: String, value: String)] {
    guard let text = String(validating: body, as: UTF8.self) else {
      throw ServerRefusal(status: 400, code: "bad_request", message: "the form is not UTF-8")
    }
    return try RequestTarget.pairs(Substring(text))
  }
}

extension String {
  fileprivate var clipped: String { count > 60 ? "\(prefix(60))…" : self }
}

extension Substring {
  fileprivate func range(of text: String) -> Range<Index>? {
    indices.lazy.compactMap { start in
      self[start...].hasPrefix(text) ? start..<self.index(start, offsetBy: text.count) : nil
    }.first
  }
}
