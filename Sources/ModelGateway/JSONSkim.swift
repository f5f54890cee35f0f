import JSONText

/// Why a body was not taken.
struct SkimError: Error, Sendable, Hashable, CustomStringConvertible {
  let description: String
}

/// Finds members of a JSON object without building the rest: requests are long (32 MB is usual for a provider's limit), and
/// of all that only a few numbers are wanted here.
///
/// Two readers must not understand one body differently: what the gateway checked is what the provider must see. So a wanted
/// key that comes twice, or in another case (Go's readers don't tell), is an error.
enum JSONSkim {
  /// Where the values of the wanted members are.
  static func members(
    _ bytes: UnsafeBufferPointer<UInt8>, in range: Range<Int>? = nil, _ wanted: Set<String>
  ) throws(SkimError) -> [String: Range<Int>] {
    var skim = Skimmer(bytes: bytes, place: range?.lowerBound ?? 0, end: range?.upperBound ?? bytes.count)
    return try skim.object(wanted)
  }

  /// The same for an array.
  static func members(_ bytes: [UInt8], _ wanted: Set<String>) throws(SkimError) -> [String: Range<Int>] {
    var result: Result<[String: Range<Int>], SkimError> = .success([:])
    bytes.withUnsafeBufferPointer { buffer in
      do throws(SkimError) { result = .success(try members(buffer, wanted)) } catch { result = .failure(error) }
    }
    return try result.get()
  }

  /// The value at a path of keys, built; nil where there is none or the text can't be read.
  static func value(_ bytes: [UInt8], _ path: [String]) -> JSONValue? {
    bytes.withUnsafeBufferPointer { buffer in
      var range = 0..<buffer.count
      for key in path {
        guard let found = try? members(buffer, in: range, [key])[key] else { return nil }
        range = found
      }
      return try? JSONValue(parsing: UnsafeBufferPointer(rebasing: buffer[range]))
    }
  }
}

private struct Skimmer {
  let bytes: UnsafeBufferPointer<UInt8>
  var place: Int
  let end: Int

  mutating func object(_ wanted: Set<String>) throws(SkimError) -> [String: Range<Int>] {
    var found: [String: Range<Int>] = [:]
    skipBlanks()
    try take(UInt8(ascii: "{"))
    skipBlanks()
    if place < end, bytes[place] == UInt8(ascii: "}") {
      place += 1
      return try finish(found)
    }
    while true {
      skipBlanks()
      let key = try key()
      skipBlanks()
      try take(UInt8(ascii: ":"))
      skipBlanks()
      let start = place
      try skipValue()
      if wanted.contains(key) {
        guard found[key] == nil else { throw SkimError(description: "the key '\(key)' comes twice") }
        found[key] = start..<place
      } else if case let folded = key.uppercased().lowercased(), wanted.contains(folded) {
        // By way of capitals, so that 'ſ' is an 's', as it is to whoever compares without regard to case.
        throw SkimError(description: "the key '\(key)' is written otherwise than '\(folded)'")
      }
      skipBlanks()
      guard place < end else { throw broken }
      if bytes[place] == UInt8(ascii: "}") {
        place += 1
        return try finish(found)
      }
      try take(UInt8(ascii: ","))
    }
  }

  private mutating func finish(_ found: [String: Range<Int>]) throws(SkimError) -> [String: Range<Int>] {
    skipBlanks()
    guard place == end else { throw broken }
    return found
  }

  private var broken: SkimError { SkimError(description: "the body is not a JSON object (byte \(place + 1))") }

  private mutating func skipBlanks() {
    while place < end, bytes[place] == 0x20 || bytes[place] == 0x0A || bytes[place] == 0x0D || bytes[place] == 0x09 {
      place += 1
    }
  }

  private mutating func take(_ byte: UInt8) throws(SkimError) {
    guard place < end, bytes[place] == byte else { throw broken }
    place += 1
  }

  private mutating func key() throws(SkimError) -> String {
    let start = place
    let escaped = try skipString()
    if escaped {
      guard let text = (try? JSONValue(parsing: UnsafeBufferPointer(rebasing: bytes[start..<place])))?.string else {
        throw broken
      }
      return text
    }
    return String(decoding: UnsafeBufferPointer(rebasing: bytes[(start + 1)..<(place - 1)]), as: UTF8.self)
  }

  /// Leaves `place` behind the closing mark; true where something in it is escaped.
  private mutating func skipString() throws(SkimError) -> Bool {
    try take(UInt8(ascii: "\""))
    var escaped = false
    while place < end {
      switch bytes[place] {
      case UInt8(ascii: "\""):
        place += 1
        return escaped
      case UInt8(ascii: "\\"):
        escaped = true
        place += 2
      case 0..<0x20: throw broken
      default: place += 1
      }
    }
    throw broken
  }

  private mutating func skipValue() throws(SkimError) {
    guard place < end else { throw broken }
    switch bytes[place] {
    case UInt8(ascii: "\""): _ = try skipString()
    case UInt8(ascii: "{"), UInt8(ascii: "["): try skipNested()
    default:
      let start = place
      while place < end, !Self.endsWord(bytes[place]) { place += 1 }
      guard place > start else { throw broken }
    }
  }

  /// Depth alone: which bracket closes which is for the provider to check; a text where they don't match has no meaning.
  private mutating func skipNested() throws(SkimError) {
    var depth = 0
    while place < end {
      switch bytes[place] {
      case UInt8(ascii: "\""):
        _ = try skipString()
        continue
      case UInt8(ascii: "{"), UInt8(ascii: "["): depth += 1
      case UInt8(ascii: "}"), UInt8(ascii: "]"):
        depth -= 1
        if depth == 0 {
          place += 1
          return
        }
      default: break
      }
      place += 1
    }
    throw broken
  }

  private static func endsWord(_ byte: UInt8) -> Bool {
    switch byte {
    case 0x20, 0x0A, 0x0D, 0x09, UInt8(ascii: ","), UInt8(ascii: "}"), UInt8(ascii: "]"), UInt8(ascii: ":"),
      UInt8(ascii: "\""), UInt8(ascii: "{"), UInt8(ascii: "["):
      true
    default: false
    }
  }
}
