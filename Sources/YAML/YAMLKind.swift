/// Why a node is not of the kind that was asked for; reads after the key's name: `must be …`.
public struct YAMLMismatch: Error {
  let predicate: String
  let position: YAMLPosition?
  /// - Parameters:
  ///   - predicate: what stands after the key's name in the error (`must be between 1 and 5, not 7`).
  ///   - position: where, when it is not the value itself.
  public init(_ predicate: String, at position: YAMLPosition? = nil) {
    self.predicate = predicate
    self.position = position
  }
}

/// A type that a scalar or list of a YAML file may be asked for: how to read it, and what it is called in errors.
public struct YAMLKind<Value> {
  let read: (YAMLNode) throws(YAMLMismatch) -> Value
  /// Stands in for a value that was not readable. Nobody sees it: the reading of the file fails as a whole.
  let placeholder: Value

  /// A kind of one's own.
  /// - Parameters:
  ///   - placeholder: any value; it stands in after an error so that the rest of the file can be checked too.
  ///   - read: reads a node or says why not.
  public init(placeholder: Value, read: @escaping (YAMLNode) throws(YAMLMismatch) -> Value) {
    self.placeholder = placeholder
    self.read = read
  }

  /// The same text, taken further by `transform`.
  public func map<Other>(
    placeholder: Other, _ transform: @escaping (Value) throws(YAMLMismatch) -> Other
  ) -> YAMLKind<Other> {
    let read = self.read
    return YAMLKind<Other>(placeholder: placeholder) { node throws(YAMLMismatch) in
      let value: Value
      do throws(YAMLMismatch) {
        value = try read(node)
      } catch {
        throw YAMLMismatch(error.predicate, at: error.position)
      }
      return try transform(value)
    }
  }
}

/// Reads a scalar, or says that `noun` was wanted.
func scalar<Value>(
  _ node: YAMLNode, _ noun: String, _ convert: (String) -> Value?
) throws(YAMLMismatch) -> Value {
  guard let text = node.text else { throw YAMLMismatch("must be \(noun), not \(node.kindName)") }
  guard let value = convert(text) else { throw YAMLMismatch("must be \(noun), not '\(text)'") }
  return value
}

extension YAMLKind where Value == String {
  /// Any text, also the empty one in quotes.
  public static var string: YAMLKind<String> {
    YAMLKind(placeholder: "") { node throws(YAMLMismatch) in try scalar(node, "text") { $0 } }
  }
  /// Text with something in it.
  public static var nonEmptyString: YAMLKind<String> {
    YAMLKind(placeholder: "") { node throws(YAMLMismatch) in
      let text = try scalar(node, "text") { $0 }
      guard !text.isEmpty else { throw YAMLMismatch("must not be empty") }
      return text
    }
  }
  /// One of these words.
  public static func oneOf(_ words: [String]) -> YAMLKind<String> {
    YAMLKind(placeholder: words.first ?? "") { node throws(YAMLMismatch) in
      try scalar(node, "one of \(words.joined(separator: ", "))") { words.contains($0) ? $0 : nil }
    }
  }
}

extension YAMLKind where Value == Bool {
  /// `true`/`yes`/`on` or `false`/`no`/`off`, in the spellings of YAML 1.1.
  public static var bool: YAMLKind<Bool> {
    YAMLKind(placeholder: false) { node throws(YAMLMismatch) in
      try scalar(node, "true or false") { text in
        switch text {
        case "true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON": true
        case "false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF": false
        default: nil
        }
      }
    }
  }
}

extension YAMLKind where Value == Int {
  /// A whole number within `range`.
  public static func int(in range: ClosedRange<Int>) -> YAMLKind<Int> {
    YAMLKind(placeholder: range.lowerBound) { node throws(YAMLMismatch) in
      try scalar(node, "a whole number between \(range.lowerBound) and \(range.upperBound)") { text in
        Int(text.replacing("_", with: "")).flatMap { range.contains($0) ? $0 : nil }
      }
    }
  }
  /// A size in bytes: `512M`, `1GiB`, `64k` (powers of 1024), `10MB` (powers of 1000), or a bare number of bytes.
  public static func byteSize(in range: ClosedRange<Int> = 0...Int.max) -> YAMLKind<Int> {
    YAMLKind(placeholder: range.lowerBound) { node throws(YAMLMismatch) in
      let size = try scalar(node, "a size such as 512M or 1GiB", YAMLUnits.byteSize(_:))
      guard range.contains(size) else {
        throw YAMLMismatch("must be \(YAMLUnits.bounds(range, YAMLUnits.text(byteSize:))), not '\(node.text ?? "")'")
      }
      return size
    }
  }
}

extension YAMLKind where Value == Double {
  /// A number within `range`.
  public static func double(in range: ClosedRange<Double>) -> YAMLKind<Double> {
    YAMLKind(placeholder: range.lowerBound) { node throws(YAMLMismatch) in
      try scalar(node, "a number between \(YAMLUnits.text(range.lowerBound)) and \(YAMLUnits.text(range.upperBound))") {
        text in
        // Double(_:) also reads hexadecimal, "inf" and "nan"; nobody means those here.
        guard text.utf8.allSatisfy({ "+-.0123456789eE".utf8.contains($0) }) else { return nil }
        return Double(text).flatMap { range.contains($0) ? $0 : nil }
      }
    }
  }
}

extension YAMLKind where Value == Duration {
  /// A time with its unit: `500ms`, `30s`, `5m`, `1h30m`, `2d`.
  public static func duration(in range: ClosedRange<Duration> = .zero ... .seconds(365 * 86400)) -> YAMLKind<Duration> {
    YAMLKind(placeholder: range.lowerBound) { node throws(YAMLMismatch) in
      let noun = "a duration such as 500ms, 30s or 1h30m"
      if let text = node.text, let number = Double(text), number >= 0 {
        throw YAMLMismatch("must be \(noun); '\(text)' has no unit")
      }
      let duration = try scalar(node, noun, YAMLUnits.duration(_:))
      guard range.contains(duration) else {
        throw YAMLMismatch("must be \(YAMLUnits.bounds(range, YAMLUnits.text(_:))), not '\(node.text ?? "")'")
      }
      return duration
    }
  }
}

extension YAMLKind where Value: CaseIterable & RawRepresentable, Value.RawValue == String {
  /// One of the raw values of an enumeration that has at least one case.
  public static func oneOf(_ type: Value.Type, else placeholder: Value) -> YAMLKind<Value> {
    let words = Value.allCases.map(\.rawValue)
    return YAMLKind(placeholder: placeholder) { node throws(YAMLMismatch) in
      try scalar(node, "one of \(words.joined(separator: ", "))") { Value(rawValue: $0) }
    }
  }
}

extension YAMLKind {
  /// A list whose elements are all of `kind`. A single value is not taken for a list of one.
  public static func list<Element>(of kind: YAMLKind<Element>) -> YAMLKind<[Element]> where Value == [Element] {
    YAMLKind<[Element]>(placeholder: []) { node throws(YAMLMismatch) in
      guard let elements = node.elements else {
        throw YAMLMismatch("must be a list, not \(node.text.map { "'\($0)'" } ?? node.kindName)")
      }
      var values: [Element] = []
      for (index, element) in elements.enumerated() {
        do throws(YAMLMismatch) {
          values.append(try kind.read(element))
        } catch {
          throw YAMLMismatch("[\(index)] \(error.predicate)", at: error.position ?? element.position)
        }
      }
      return values
    }
  }
  /// A mapping from free names to values of `kind`.
  public static func dictionary<Element>(
    of kind: YAMLKind<Element>
  ) -> YAMLKind<[String: Element]> where Value == [String: Element] {
    YAMLKind<[String: Element]>(placeholder: [:]) { node throws(YAMLMismatch) in
      guard let entries = node.entries else {
        throw YAMLMismatch("must be a mapping, not \(node.text.map { "'\($0)'" } ?? node.kindName)")
      }
      var values: [String: Element] = [:]
      for entry in entries {
        do throws(YAMLMismatch) {
          values[entry.key] = try kind.read(entry.value)
        } catch {
          throw YAMLMismatch("[\(entry.key)] \(error.predicate)", at: error.position ?? entry.value.position)
        }
      }
      return values
    }
  }
}

extension YAMLKind where Value == [String] {
  /// A list of texts.
  public static var stringList: YAMLKind<[String]> { .list(of: .string) }
}

extension YAMLKind where Value == [String: String] {
  /// Names with texts, as for an environment.
  public static var stringMap: YAMLKind<[String: String]> { .dictionary(of: .string) }
}
