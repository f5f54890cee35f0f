/// One line of Redis's MONITOR, as `1764551460.123456 [0 127.0.0.1:60866] "SET" "key" "value"`: a command in the order in
/// which the server carried it out. What a script does follows the call of the script, as from `lua`.
struct MonitorLine: Sendable, Equatable {
  /// By the server's clock, seconds since 1970.
  var time: Double
  /// Address and port of the connection that sent it; nil: a script did it.
  var client: String?
  /// The command and its arguments; what is no UTF-8 in them is replaced.
  var words: [String]

  /// Nil for what is no such line.
  init?(_ text: some StringProtocol) {
    var rest = Array(text.utf8)[...]
    guard let open = rest.firstIndex(of: UInt8(ascii: "[")),
      let close = rest[open...].firstIndex(of: UInt8(ascii: "]")),
      let time = Double(Self.text(rest[..<open].dropLast())),
      let space = rest[open..<close].firstIndex(of: UInt8(ascii: " "))
    else { return nil }
    self.time = time
    let source = Self.text(rest[(space + 1)..<close])
    client = source == "lua" ? nil : source
    rest = rest[(close + 1)...]
    var words: [String] = []
    while let first = rest.first {
      guard first == UInt8(ascii: " "), let (word, after) = Self.word(rest.dropFirst()) else { return nil }
      words.append(word)
      rest = after
    }
    if words.isEmpty { return nil }
    self.words = words
  }

  private static func text(_ bytes: ArraySlice<UInt8>) -> String { String(decoding: bytes, as: UTF8.self) }

  /// A word in quotes, without its escapes (`sdscatrepr` of Redis), and what follows it.
  private static func word(_ bytes: ArraySlice<UInt8>) -> (String, ArraySlice<UInt8>)? {
    guard bytes.first == UInt8(ascii: "\"") else { return nil }
    var rest = bytes.dropFirst()
    var word: [UInt8] = []
    while let byte = rest.popFirst() {
      if byte == UInt8(ascii: "\"") { return (text(word[...]), rest) }
      guard byte == UInt8(ascii: "\\") else {
        word.append(byte)
        continue
      }
      guard let escaped = rest.popFirst() else { return nil }
      switch escaped {
      case UInt8(ascii: "n"): word.append(10)
      case UInt8(ascii: "r"): word.append(13)
      case UInt8(ascii: "t"): word.append(9)
      case UInt8(ascii: "a"): word.append(7)
      case UInt8(ascii: "b"): word.append(8)
      case UInt8(ascii: "x"):
        guard let byte = UInt8(text(rest.prefix(2)), radix: 16) else { return nil }
        word.append(byte)
        rest = rest.dropFirst(2)
      default: word.append(escaped)
      }
    }
    return nil
  }
}
