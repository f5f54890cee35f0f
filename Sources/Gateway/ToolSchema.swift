import JSON

/// The arguments of a built-in tool: one description that is shown to the agent as JSON Schema and enforced as sentences.
struct ToolSchema: Sendable {
  struct Argument: Sendable {
    enum Kind: Sendable {
      /// At most so many characters; where `identifier`, only what can stand in one segment of a path.
      case text(maximumLength: Int, identifier: Bool = false)
      case integer(ClosedRange<Int64>, default: Int64)
    }
    var name: String
    var kind: Kind
    var required: Bool = false
    var about: String
  }

  var arguments: [Argument]

  /// The same as JSON Schema 2020-12.
  var json: JSONValue {
    var properties: [String: JSONValue] = [:]
    for argument in arguments {
      switch argument.kind {
      case .text(let maximum, _):
        properties[argument.name] = [
          "type": "string", "minLength": 1, "maxLength": .integer(Int64(maximum)),
          "description": .string(argument.about),
        ]
      case .integer(let range, let standard):
        properties[argument.name] = [
          "type": "integer", "minimum": .integer(range.lowerBound), "maximum": .integer(range.upperBound),
          "default": .integer(standard), "description": .string(argument.about),
        ]
      }
    }
    return [
      "type": "object", "properties": .object(properties),
      "required": .array(arguments.filter(\.required).map { .string($0.name) }), "additionalProperties": false,
    ]
  }

  /// Checks what an agent sent.
  /// - Throws: one sentence that begins with the tool's name and says which argument is wrong and how.
  func check(_ value: JSONValue?, for tool: String) throws(ToolRefusal) -> ToolArguments {
    guard let members = (value ?? .object([:])).object else {
      throw ToolRefusal("\(tool): 'arguments' is not an object")
    }
    let known = arguments.map(\.name)
    if let stranger = members.keys.sorted().first(where: { !known.contains($0) }) {
      throw ToolRefusal(
        "\(tool): '\(stranger.prefix(60))' is not an argument; it takes \(known.joined(separator: ", "))")
    }
    var checked = ToolArguments()
    for argument in arguments {
      let name = argument.name
      guard let value = members[name], value != .null else {
        if argument.required { throw ToolRefusal("\(tool): '\(name)' is missing") }
        if case .integer(_, let standard) = argument.kind { checked.integers[name] = standard }
        continue
      }
      switch argument.kind {
      case .text(let maximum, let identifier):
        guard let text = value.string else { throw ToolRefusal("\(tool): '\(name)' is not a string") }
        guard text.contains(where: { !$0.isWhitespace }) else { throw ToolRefusal("\(tool): '\(name)' is empty") }
        guard text.unicodeScalars.count <= maximum else {
          throw ToolRefusal("\(tool): '\(name)' is longer than \(maximum) characters")
        }
        guard !identifier || isIdentifier(text) else {
          throw ToolRefusal("\(tool): '\(name)' is not an id; take one from search or from the thread")
        }
        checked.texts[name] = text
      case .integer(let range, _):
        guard let number = value.integer else { throw ToolRefusal("\(tool): '\(name)' is not a whole number") }
        guard range.contains(number) else {
          throw ToolRefusal("\(tool): '\(name)' is not between \(range.lowerBound) and \(range.upperBound)")
        }
        checked.integers[name] = number
      }
    }
    return checked
  }
}

/// What passed `ToolSchema.check`.
struct ToolArguments: Sendable, Hashable {
  var texts: [String: String] = [:]
  var integers: [String: Int64] = [:]

  /// A text that the schema requires; empty only if it doesn't.
  func text(_ name: String) -> String { texts[name] ?? "" }
  func integer(_ name: String) -> Int { integers[name].flatMap { Int(exactly: $0) } ?? 0 }
}

/// Why a call was not carried out: a sentence for the agent, shown as a result with `isError`, so that a model can mend it.
struct ToolRefusal: Error, Sendable, Hashable, CustomStringConvertible {
  let description: String
  init(_ description: String) { self.description = description }
}

/// Whether a text can be one segment of the Hub's paths: an id that holds `/` or `..` would name another endpoint.
func isIdentifier(_ text: String) -> Bool {
  text != "." && text != ".."
    && text.utf8.allSatisfy { byte in
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."),
        UInt8(ascii: ":"), UInt8(ascii: "~"):
        true
      default: false
      }
    }
}
