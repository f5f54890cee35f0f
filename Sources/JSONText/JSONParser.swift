/// Reads one JSON text (RFC 8259) into a `JSONValue`, in time that grows with its length alone: `Codable` tries each kind of
/// value in turn and carries the whole path along, so that a text of strangers that is nested deeply takes it minutes.
struct JSONParser {
  /// Arrays and objects within one another; more is refused, as each takes room on the stack.
  static let depthLimit = 128
  private let bytes: [UInt8]
  private var place = 0
  private var depth = 0

  /// The whole text as one value.
  static func parse(_ bytes: some Sequence<UInt8>) throws(JSONError) -> JSONValue {
    var parser = JSONParser(bytes: Array(bytes))
    // RFC 8259 section 8.1 lets readers pass over a byte order mark.
    if parser.bytes.starts(with: [0xEF, 0xBB, 0xBF]) { parser.place = 3 }
    let value = try parser.value()
    parser.skipBlanks()
    guard parser.place == parser.bytes.count else { throw parser.unexpected() }
    return value
  }

  private init(bytes: [UInt8]) { self.bytes = bytes }

  private var next: UInt8? { place < bytes.count ? bytes[place] : nil }

  private func unexpected() -> JSONError {
    JSONError(
      place < bytes.count ? "not JSON: byte \(place + 1) can't stand there" : "not JSON: the text ends too early")
  }

  private mutating func skipBlanks() {
    while let byte = next, byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 { place += 1 }
  }

  /// Takes this byte if it comes next.
  private mutating func take(_ byte: UInt8) -> Bool {
    guard next == byte else { return false }
    place += 1
    return true
  }

  private mutating func value() throws(JSONError) -> JSONValue {
    skipBlanks()
    switch next {
    case UInt8(ascii: "{"): return try nested { parser throws(JSONError) in try parser.object() }
    case UInt8(ascii: "["): return try nested { parser throws(JSONError) in try parser.array() }
    case UInt8(ascii: "\""): return .string(try string())
    case UInt8(ascii: "t"): return try word("true", .bool(true))
    case UInt8(ascii: "f"): return try word("false", .bool(false))
    case UInt8(ascii: "n"): return try word("null", .null)
    default: return try number()
    }
  }

  private mutating func nested(
    _ read: (inout JSONParser) throws(JSONError) -> JSONValue
  ) throws(JSONError) -> JSONValue {
    guard depth < Self.depthLimit else { throw JSONError("not JSON that is read here: nested deeper than \(depth)") }
    depth += 1
    place += 1
    let value = try read(&self)
    depth -= 1
    return value
  }

  private mutating func array() throws(JSONError) -> JSONValue {
    var values: [JSONValue] = []
    skipBlanks()
    if take(UInt8(ascii: "]")) { return .array([]) }
    while true {
      values.append(try value())
      skipBlanks()
      if take(UInt8(ascii: "]")) { return .array(values) }
      guard take(UInt8(ascii: ",")) else { throw unexpected() }
    }
  }

  private mutating func object() throws(JSONError) -> JSONValue {
    var members: [String: JSONValue] = [:]
    skipBlanks()
    if take(UInt8(ascii: "}")) { return .object([:]) }
    while true {
      skipBlanks()
      guard next == UInt8(ascii: "\"") else { throw unexpected() }
      let key = try string()
      skipBlanks()
      guard take(UInt8(ascii: ":")) else { throw unexpected() }
      let value = try value()
      // Of a key that comes twice the first counts, as in JSONDecoder.
      if members[key] == nil { members[key] = value }
      skipBlanks()
      if take(UInt8(ascii: "}")) { return .object(members) }
      guard take(UInt8(ascii: ",")) else { throw unexpected() }
    }
  }

  private mutating func word(_ word: StaticString, _ value: JSONValue) throws(JSONError) -> JSONValue {
    for index in 0..<word.utf8CodeUnitCount {
      guard take(word.utf8Start[index]) else { throw unexpected() }
    }
    return value
  }

  // MARK: Numbers (section 6)

  private mutating func number() throws(JSONError) -> JSONValue {
    let start = place
    _ = take(UInt8(ascii: "-"))
    if !take(UInt8(ascii: "0")) { try digits() }
    if take(UInt8(ascii: ".")) { try digits() }
    if take(UInt8(ascii: "e")) || take(UInt8(ascii: "E")) {
      if !take(UInt8(ascii: "+")) { _ = take(UInt8(ascii: "-")) }
      try digits()
    }
    let text = String(decoding: bytes[start..<place], as: UTF8.self)
    if let whole = Int64(text) { return .integer(whole) }
    guard let number = Double(text), number.isFinite else {
      throw JSONError("not JSON that is read here: a number is too large")
    }
    return Int64(exactly: number).map { .integer($0) } ?? .number(number)
  }

  private mutating func digits() throws(JSONError) {
    let start = place
    while let byte = next, (48...57).contains(byte) { place += 1 }
    if place == start { throw unexpected() }
  }

  // MARK: Strings (section 7)

  private mutating func string() throws(JSONError) -> String {
    place += 1
    var text: [UInt8] = []
    while let byte = next {
      switch byte {
      case UInt8(ascii: "\""):
        place += 1
        guard let valid = String(validating: text, as: UTF8.self) else {
          throw JSONError("not JSON: a text is not UTF-8")
        }
        return valid
      case UInt8(ascii: "\\"): try escape(into: &text)
      case 0..<0x20: throw unexpected()
      default:
        text.append(byte)
        place += 1
      }
    }
    throw unexpected()
  }

  private mutating func escape(into text: inout [UInt8]) throws(JSONError) {
    place += 1
    guard let letter = next else { throw unexpected() }
    let plain: UInt8
    switch letter {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): plain = letter
    case UInt8(ascii: "b"): plain = 0x08
    case UInt8(ascii: "f"): plain = 0x0C
    case UInt8(ascii: "n"): plain = 0x0A
    case UInt8(ascii: "r"): plain = 0x0D
    case UInt8(ascii: "t"): plain = 0x09
    case UInt8(ascii: "u"):
      place += 1
      return try append(codePoint: codePoint(), to: &text)
    default: throw unexpected()
    }
    text.append(plain)
    place += 1
  }

  /// Four digits behind `\u`; a high surrogate needs its low one behind it.
  private mutating func codePoint() throws(JSONError) -> UInt32 {
    let first = try fourDigits()
    guard (0xD800..<0xDC00).contains(first) else { return first }
    guard take(UInt8(ascii: "\\")), take(UInt8(ascii: "u")) else { throw unexpected() }
    let second = try fourDigits()
    guard (0xDC00..<0xE000).contains(second) else { throw JSONError("not JSON: half of a surrogate pair") }
    return 0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00)
  }

  private mutating func fourDigits() throws(JSONError) -> UInt32 {
    var number: UInt32 = 0
    for _ in 0..<4 {
      guard let byte = next, let digit = Character(UnicodeScalar(byte)).hexDigitValue else { throw unexpected() }
      number = number << 4 | UInt32(digit)
      place += 1
    }
    return number
  }

  private func append(codePoint: UInt32, to text: inout [UInt8]) throws(JSONError) {
    guard let scalar = UnicodeScalar(codePoint) else { throw JSONError("not JSON: half of a surrogate pair") }
    text += UTF8.encode(scalar).map { Array($0) } ?? []
  }
}
