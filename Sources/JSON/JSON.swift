import FoundationEssentials
// The value and its text form have a room of their own, so that a program can have them without Foundation.
@_exported import JSONText

/// Coding of values as JSON text, with errors that say where in the text and in which words.
public enum JSON {
  /// Reads a value. The error names the path to the offending key (`notifications[3].id`).
  public static func decode<Value: Decodable>(
    _ type: Value.Type, from bytes: some Sequence<UInt8>
  ) throws(JSONError) -> Value {
    do {
      return try JSONDecoder().decode(type, from: Data(bytes))
    } catch let error as DecodingError {
      throw JSONError(explain(error))
    } catch {
      throw JSONError("not readable as JSON: \(error)")
    }
  }

  /// Writes a value on one line with its keys in order, so that equal values give equal bytes.
  public static func encode(_ value: some Encodable, pretty: Bool = false) throws(JSONError) -> [UInt8] {
    let encoder = JSONEncoder()
    encoder.outputFormatting =
      pretty ? [.sortedKeys, .withoutEscapingSlashes, .prettyPrinted] : [.sortedKeys, .withoutEscapingSlashes]
    do {
      return Array(try encoder.encode(value))
    } catch {
      throw JSONError("can't be written as JSON: \(error)")
    }
  }

  /// The same as `encode`, as a string.
  public static func text(_ value: some Encodable, pretty: Bool = false) throws(JSONError) -> String {
    String(decoding: try encode(value, pretty: pretty), as: UTF8.self)
  }

  private static func explain(_ error: DecodingError) -> String {
    switch error {
    case .keyNotFound(let key, let context): "\(path(context.codingPath + [key])) is missing"
    case .typeMismatch(let type, let context): "\(path(context.codingPath)) is not \(word(for: type))"
    case .valueNotFound(let type, let context): "\(path(context.codingPath)) is null instead of \(word(for: type))"
    case .dataCorrupted(let context) where context.codingPath.isEmpty: "not JSON: \(context.debugDescription)"
    case .dataCorrupted(let context): "\(path(context.codingPath)): \(context.debugDescription)"
    @unknown default: "\(error)"
    }
  }

  private static func path(_ keys: [any CodingKey]) -> String {
    let path = keys.reduce(into: "") { text, key in
      if let index = key.intValue {
        text += "[\(index)]"
      } else {
        text += text.isEmpty ? key.stringValue : ".\(key.stringValue)"
      }
    }
    return path.isEmpty ? "the text" : "'\(path)'"
  }

  private static func word(for type: Any.Type) -> String {
    switch type {
    case is String.Type: "a string"
    case is Bool.Type: "true or false"
    case is Int.Type, is Int64.Type, is Double.Type: "a number"
    case is [String: Any].Type: "an object"
    case is [Any].Type: "an array"
    default: "a \(type)"
    }
  }
}
