import HTTPServer
import JSON

/// A JSON body that is read strictly: each field is asked for by name, and what nobody asked for is an error.
struct Fields {
  private let members: [String: JSONValue]
  private var asked: Set<String> = []

  /// An absent body reads as an empty object where `optional` is set.
  init(_ request: ServerRequest, optional: Bool = false) throws(ServerRefusal) {
    if request.body.isEmpty {
      guard optional else { throw badRequest("the body is empty; a JSON object is needed") }
      members = [:]
      return
    }
    let value: JSONValue
    do throws(JSONError) {
      value = try JSONValue(parsing: request.body)
    } catch {
      throw badRequest("the body is \(error)")
    }
    guard case .object(let members) = value else { throw badRequest("the body is not a JSON object") }
    self.members = members
  }

  private init(_ members: [String: JSONValue]) { self.members = members }

  mutating func text(_ name: String, max: Int) throws(ServerRefusal) -> String {
    guard let text = try optionalText(name, max: max) else { throw unprocessable("'\(name)' is missing") }
    guard !text.allSatisfy(\.isWhitespace) else { throw unprocessable("'\(name)' is empty") }
    return text
  }

  mutating func optionalText(_ name: String, max: Int) throws(ServerRefusal) -> String? {
    guard let field = field(name) else { return nil }
    guard let text = field.string else { throw unprocessable("'\(name)' is not a string") }
    guard text.count <= max else {
      throw unprocessable("'\(name)' has \(text.count) characters; at most \(max) are allowed")
    }
    return text
  }

  /// A name that can stand in a path and behind an `@`.
  mutating func identifier(_ name: String) throws(ServerRefusal) -> String {
    let text = try text(name, max: 100)
    guard
      text.utf8.allSatisfy({ byte in
        (48...57).contains(byte) || (65...90).contains(byte) || (97...122).contains(byte) || "-_.".utf8.contains(byte)
      })
    else { throw unprocessable("'\(name)' may have letters, digits, '-', '_' and '.' only") }
    return text
  }

  mutating func texts(_ name: String, max: Int) throws(ServerRefusal) -> [String] {
    guard let field = field(name) else { throw unprocessable("'\(name)' is missing") }
    guard let array = field.array else { throw unprocessable("'\(name)' is not an array") }
    guard array.count <= max else {
      throw unprocessable("'\(name)' has \(array.count) entries; at most \(max) are allowed")
    }
    var texts: [String] = []
    for (index, entry) in array.enumerated() {
      guard let text = entry.string else { throw unprocessable("'\(name)[\(index)]' is not a string") }
      texts.append(text)
    }
    return texts
  }

  mutating func count(_ name: String) throws(ServerRefusal) -> Int {
    guard let field = field(name) else { throw unprocessable("'\(name)' is missing") }
    guard let number = field.integer, number >= 0 else {
      throw unprocessable("'\(name)' is not a whole number of at least 0")
    }
    return Int(number)
  }

  mutating func amount(_ name: String) throws(ServerRefusal) -> Double {
    guard let amount = try optionalAmount(name) else { throw unprocessable("'\(name)' is missing") }
    return amount
  }

  mutating func optionalAmount(_ name: String) throws(ServerRefusal) -> Double? {
    guard let field = field(name) else { return nil }
    guard let number = field.double, number >= 0, number.isFinite else {
      throw unprocessable("'\(name)' is not a number of at least 0")
    }
    return number
  }

  /// `{id, name?}`, or the id alone.
  mutating func optionalAuthor(_ name: String) throws(ServerRefusal) -> Author? {
    guard let field = field(name) else { return nil }
    if case .string = field { return Author(id: try identifier(name)) }
    guard case .object(let members) = field else {
      throw unprocessable("'\(name)' is neither an object with 'id' and 'name' nor a string")
    }
    var inner = Fields(members)
    do throws(ServerRefusal) {
      let author = Author(id: try inner.identifier("id"), name: try inner.optionalText("name", max: 100))
      try inner.end()
      return author
    } catch {
      throw unprocessable("in '\(name)' \(error.message)")
    }
  }

  /// To be called when every field was asked for.
  func end() throws(ServerRefusal) {
    guard let unknown = members.keys.filter({ !asked.contains($0) }).min() else { return }
    let known =
      asked.isEmpty ? "no field is" : asked.sorted().joined(separator: ", ") + (asked.count == 1 ? " is" : " are")
    throw unprocessable("'\(unknown)' is not a field of this request; \(known) known")
  }

  /// nil for a field that is absent or null.
  private mutating func field(_ name: String) -> JSONValue? {
    asked.insert(name)
    guard let value = members[name], value != .null else { return nil }
    return value
  }
}

/// A query that is read strictly, like `Fields`.
struct Query {
  private let request: ServerRequest
  private var asked: Set<String> = []

  init(_ request: ServerRequest) { self.request = request }

  mutating func text(_ name: String) throws(ServerRefusal) -> String? {
    asked.insert(name)
    let values = request.query.filter { $0.name == name }
    guard values.count < 2 else { throw badRequest("the parameter '\(name)' is given \(values.count) times") }
    return values.first.map(\.value)
  }

  mutating func list(_ name: String) throws(ServerRefusal) -> [String] {
    try text(name)?.split(separator: ",").map(String.init) ?? []
  }

  mutating func truth(_ name: String) throws(ServerRefusal) -> Bool? {
    switch try text(name) {
    case nil: return nil
    case "true": return true
    case "false": return false
    case .some(let other): throw badRequest("the parameter '\(name)' is '\(other)', not true or false")
    }
  }

  mutating func number(_ name: String, _ range: ClosedRange<Int>, default fallback: Int) throws(ServerRefusal) -> Int {
    guard let text = try text(name) else { return fallback }
    guard let number = Int(text), range.contains(number) else {
      throw badRequest(
        "the parameter '\(name)' is '\(text)', not a whole number from \(range.lowerBound) to \(range.upperBound)")
    }
    return number
  }

  func end() throws(ServerRefusal) {
    guard let unknown = request.query.first(where: { !asked.contains($0.name) }) else { return }
    let known =
      asked.isEmpty ? "no parameter is" : asked.sorted().joined(separator: ", ") + (asked.count == 1 ? " is" : " are")
    throw badRequest("'\(unknown.name)' is not a parameter of this request; \(known) known")
  }
}

func badRequest(_ message: String) -> ServerRefusal {
  ServerRefusal(status: 400, code: "bad_request", message: message)
}
func unprocessable(_ message: String) -> ServerRefusal {
  ServerRefusal(status: 422, code: "invalid_input", message: message)
}
func notFound(_ message: String) -> ServerRefusal { ServerRefusal(status: 404, code: "not_found", message: message) }
