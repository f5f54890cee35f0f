import JSON

/// One server-sent event.
struct StreamEvent: Sendable {
  var name: String?
  var data: String
  var bytes: [UInt8] { Array(((name.map { "event: \($0)\n" } ?? "") + "data: \(data)\n\n").utf8) }

  init(_ data: JSONValue, named: Bool) {
    name = named ? data["type"]?.string : nil
    self.data = data.compactText
  }
  init(data: String) { self.data = data }
}

/// Writes a reply in one dialect, whole and as a stream.
protocol DialectWriter {
  func whole(_ reply: Reply) -> JSONValue
  func events(_ reply: Reply, _ asked: Asked) -> [StreamEvent]
  func error(_ status: Int) -> JSONValue
}

extension Asked.Dialect {
  var writer: any DialectWriter {
    switch self {
    case .anthropic: AnthropicWriter()
    case .chat: ChatWriter()
    case .responses: ResponsesWriter()
    }
  }
}

/// A text in two halves, as arguments come.
func halves(_ text: String) -> [String] {
  guard text.count > 1 else { return [text] }
  return [String(text.prefix(text.count / 2)), String(text.dropFirst(text.count / 2))]
}

extension JSONValue {
  static func count(_ value: Int) -> JSONValue { .integer(Int64(value)) }
}
