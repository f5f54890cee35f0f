extension JSONValue {
  /// The value on one line with its keys in order.
  public var compactText: String { String(decoding: compactBytes, as: UTF8.self) }

  /// `compactText` as UTF-8, in time that grows with its length alone (`Codable` needs time that grows with length times
  /// depth, which a stranger chooses).
  public var compactBytes: [UInt8] {
    var text: [UInt8] = []
    text.reserveCapacity(256)
    write(to: &text)
    return text
  }

  /// Whether every number in it has a JSON form.
  public var isFinite: Bool {
    switch self {
    case .null, .bool, .integer, .string: true
    case .number(let value): value.isFinite
    case .array(let elements): elements.allSatisfy(\.isFinite)
    case .object(let members): members.values.allSatisfy(\.isFinite)
    }
  }

  private func write(to text: inout [UInt8]) {
    switch self {
    case .null: text += "null".utf8
    case .bool(let value): text += (value ? "true" : "false").utf8
    case .integer(let value): text += String(value).utf8
    // JSON has no form for what is not finite; null is what browsers write.
    case .number(let value): text += (value.isFinite ? "\(value)" : "null").utf8
    case .string(let value): Self.write(value, to: &text)
    case .array(let elements):
      text.append(UInt8(ascii: "["))
      for (index, element) in elements.enumerated() {
        if index > 0 { text.append(UInt8(ascii: ",")) }
        element.write(to: &text)
      }
      text.append(UInt8(ascii: "]"))
    case .object(let members):
      text.append(UInt8(ascii: "{"))
      for (index, member) in members.sorted(by: { $0.key < $1.key }).enumerated() {
        if index > 0 { text.append(UInt8(ascii: ",")) }
        Self.write(member.key, to: &text)
        text.append(UInt8(ascii: ":"))
        member.value.write(to: &text)
      }
      text.append(UInt8(ascii: "}"))
    }
  }

  /// RFC 8259 section 7: quotation mark, backslash and the control characters must be escaped, nothing else.
  private static func write(_ string: String, to text: inout [UInt8]) {
    func isPlain(_ byte: UInt8) -> Bool { byte >= 0x20 && byte != UInt8(ascii: "\"") && byte != UInt8(ascii: "\\") }
    text.append(UInt8(ascii: "\""))
    if string.utf8.allSatisfy(isPlain) {
      text += string.utf8
    } else {
      for byte in string.utf8 {
        if isPlain(byte) {
          text.append(byte)
        } else if byte >= 0x20 {
          text += [UInt8(ascii: "\\"), byte]
        } else if let short = shortEscape(byte) {
          text += [UInt8(ascii: "\\"), short]
        } else {
          text += "\\u00\(byte < 16 ? "0" : "")\(String(byte, radix: 16))".utf8
        }
      }
    }
    text.append(UInt8(ascii: "\""))
  }

  /// Short where there is a short form: texts for models are full of these.
  private static func shortEscape(_ byte: UInt8) -> UInt8? {
    switch byte {
    case 10: UInt8(ascii: "n")
    case 13: UInt8(ascii: "r")
    case 9: UInt8(ascii: "t")
    default: nil
    }
  }
}
