import JSONText
import Logging

/// One log record as a value, and its two written forms. Pure: the moment comes in.
struct LogRecord {
  /// Microseconds since 1970, UTC.
  var time: Int64
  var level: Logger.Level
  var component: String
  var message: String
  var metadata: Logger.Metadata

  /// The fields that are the record's own; metadata of the same name gets an underscore behind it.
  private static let ownFields: Set<String> = ["time", "level", "component", "message"]

  /// One line of JSON: time, level, component, message, then the metadata beside them, keys in order. Numbers and truth
  /// values in metadata text stay text; durations and token counts are written as numbers (`LogNumber`).
  func jsonLine() -> [UInt8] {
    var line = "{\"time\":\(Self.quoted(Timestamp.text(time)))"
    line += ",\"level\":\(Self.quoted(level.rawValue))"
    line += ",\"component\":\(Self.quoted(component))"
    line += ",\"message\":\(Self.quoted(message))"
    for (key, value) in Redaction.apply(metadata).sorted(by: { $0.key < $1.key }) {
      let name = Self.ownFields.contains(key) ? key + "_" : key
      line += ",\(Self.quoted(name)):\(Self.json(value, key: key))"
    }
    return Array((line + "}\n").utf8)
  }

  /// One line for a person: `12:00:01.250 INFO coordinator: message key=value`, coloured where `colour` says so.
  func humanLine(colour: Bool) -> [UInt8] {
    let clock = Timestamp.text(time).dropFirst(11).dropLast()
    let (begin, dim, end) = colour ? ("\u{1B}[\(Self.colourCode(level))m", "\u{1B}[2m", "\u{1B}[0m") : ("", "", "")
    var line = "\(dim)\(clock)\(end) \(begin)\(level.rawValue.uppercased())\(end) \(component): \(Self.plain(message))"
    for (key, value) in Redaction.apply(metadata).sorted(by: { $0.key < $1.key }) {
      line += " \(dim)\(Self.plain(key))=\(end)\(Self.plain("\(value)"))"
    }
    return Array((line + "\n").utf8)
  }

  private static func colourCode(_ level: Logger.Level) -> Int {
    switch level {
    case .trace, .debug: 36
    case .info, .notice: 32
    case .warning: 33
    case .error, .critical: 31
    }
  }

  /// Control characters made visible: a record never moves the terminal's cursor or forges a second record.
  private static func plain(_ text: String) -> String {
    var plain = ""
    for scalar in text.unicodeScalars {
      if scalar.value < 32 || 127...159 ~= scalar.value {
        plain += "\\u{\(String(scalar.value, radix: 16))}"
      } else {
        plain.unicodeScalars.append(scalar)
      }
    }
    return plain
  }

  /// Fields that are numbers for every reader of these logs.
  private static let numberFields: Set<String> = [
    "duration", "tokens", "tokens_input", "tokens_output", "attempt", "status", "pid", "port", "bytes",
  ]

  private static func json(_ value: Logger.Metadata.Value, key: String = "") -> String {
    switch value {
    case .string(let text): numberFields.contains(key) && isNumber(text) ? text : quoted(text)
    case .stringConvertible(let value):
      switch value {
      case let number as any BinaryInteger: "\(number)"
      case let number as Double where number.isFinite: "\(number)"
      case let truth as Bool: truth ? "true" : "false"
      default: json(.string("\(value)"), key: key)
      }
    case .dictionary(let members):
      "{"
        + members.sorted { $0.key < $1.key }.map { "\(quoted($0.key)):\(json($0.value, key: $0.key))" }
        .joined(separator: ",") + "}"
    case .array(let elements): "[" + elements.map { json($0) }.joined(separator: ",") + "]"
    }
  }

  /// A JSON number (RFC 8259 §6) as Swift writes them.
  private static func isNumber(_ text: String) -> Bool {
    guard let value = Double(text), value.isFinite, let last = text.utf8.last, let first = text.utf8.first else {
      return false
    }
    let digits = UInt8(ascii: "0")...UInt8(ascii: "9")
    return digits.contains(last) && (digits.contains(first) || first == UInt8(ascii: "-"))
      && text.utf8.allSatisfy { digits.contains($0) || "+-.eE".utf8.contains($0) }
      && !(text.count > 1 && first == UInt8(ascii: "0") && !text.hasPrefix("0."))
  }

  /// A JSON string. By hand: a record is written on every step of every activation.
  static func quoted(_ text: String) -> String {
    var quoted = "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"": quoted += "\\\""
      case "\\": quoted += "\\\\"
      case "\n": quoted += "\\n"
      case "\r": quoted += "\\r"
      case "\t": quoted += "\\t"
      case _ where scalar.value < 32:
        let hex = String(scalar.value, radix: 16)
        quoted += "\\u" + String(repeating: "0", count: 4 - hex.count) + hex
      default: quoted.unicodeScalars.append(scalar)
      }
    }
    return quoted + "\""
  }
}

/// The last wall before a secret reaches a log: values under names that mean secrets are not written.
enum Redaction {
  /// What stands in place of the value.
  static let mark: Logger.Metadata.Value = "[redacted]"
  private static let words = ["secret", "authorization", "password", "credential", "cookie"]
  private static let lastWords: Set<String> = ["key", "token", "keys"]

  /// `api_key`, `HUB_API_KEY`, `accessToken` are secrets; `tokens`, `tokens_input`, `key_count` are not.
  static func isSecret(_ name: String) -> Bool {
    let parts = words(of: name)
    let whole = parts.joined(separator: "_")
    return words.contains { whole.contains($0) } || parts.last.map(lastWords.contains) ?? false
  }

  static func apply(_ metadata: Logger.Metadata) -> Logger.Metadata {
    var safe = metadata
    for (name, value) in metadata { safe[name] = isSecret(name) ? mark : apply(value) }
    return safe
  }

  private static func apply(_ value: Logger.Metadata.Value) -> Logger.Metadata.Value {
    switch value {
    case .dictionary(let members): .dictionary(apply(members))
    case .array(let elements): .array(elements.map(apply))
    default: value
    }
  }

  /// `accessToken`, `access-token`, `ACCESS_TOKEN` → access, token.
  private static func words(of name: String) -> [String] {
    var words: [String] = [""]
    var wasLower = false
    for character in name {
      if !character.isLetter && !character.isNumber {
        words.append("")
        wasLower = false
        continue
      }
      if character.isUppercase && wasLower { words.append("") }
      wasLower = character.isLowercase
      words[words.count - 1] += character.lowercased()
    }
    return words.filter { !$0.isEmpty }
  }
}
