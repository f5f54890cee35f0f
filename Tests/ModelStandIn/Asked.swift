import JSON

/// A request to a model, whatever its dialect.
struct Asked: Sendable {
  /// The interface that was asked.
  enum Dialect: String, Sendable { case anthropic, chat, responses }
  /// A tool that the request offers.
  struct Tool: Sendable, Hashable {
    var name: String
    /// Freeform: takes a text instead of an object (Responses).
    var isCustom = false
    /// The group that it is offered in (Responses).
    var namespace: String?
  }
  var dialect: Dialect
  var model: String
  var streams: Bool
  /// Chat: whether the stream ends with the counts.
  var includesUsage: Bool
  /// How many turns of the model are in it.
  var turn: Int
  var tools: [Tool]

  init(_ dialect: Dialect, _ body: JSONValue) {
    self.dialect = dialect
    model = body["model"]?.string ?? ""
    streams = body["stream"]?.bool ?? false
    includesUsage = body["stream_options"]?["include_usage"]?.bool ?? false
    switch dialect {
    case .anthropic, .chat: turn = Self.groups(body["messages"]?.array ?? []) { $0["role"]?.string == "assistant" }
    case .responses: turn = Self.groups(body["input"]?.array ?? [], Self.isOutput)
    }
    tools = (body["tools"]?.array ?? []).flatMap { Self.tools($0, namespace: nil) }
  }

  /// Runs of the model's own words with something of the other side between them.
  private static func groups(_ items: [JSONValue], _ isOwn: (JSONValue) -> Bool) -> Int {
    var count = 0
    var inside = false
    for item in items {
      let own = isOwn(item)
      if own, !inside { count += 1 }
      inside = own
    }
    return count
  }

  private static func isOutput(_ item: JSONValue) -> Bool {
    switch item["type"]?.string {
    case "function_call", "custom_tool_call", "local_shell_call", "reasoning": true
    case "message", nil: item["role"]?.string == "assistant"
    default: false
    }
  }

  private static func tools(_ value: JSONValue, namespace: String?) -> [Tool] {
    if value["type"]?.string == "namespace" {
      return (value["tools"]?.array ?? []).flatMap { tools($0, namespace: value["name"]?.string) }
    }
    guard let name = value["name"]?.string ?? value["function"]?["name"]?.string ?? value["type"]?.string else {
      return []
    }
    return [Tool(name: name, isCustom: value["type"]?.string == "custom", namespace: namespace)]
  }

  /// The offered tool that a scenario means.
  func tool(_ wanted: String) -> Tool? {
    tools.first { $0.name == wanted } ?? tools.first { ($0.namespace ?? "") + "__" + $0.name == wanted }
      ?? tools.first { $0.name.hasSuffix(wanted) }
  }
}

/// What the model does in answer to one request.
struct Reply: Sendable {
  struct Call: Sendable {
    var id: String
    var tool: Asked.Tool
    var arguments: JSONValue
  }
  var id: String
  var model: String
  var text: String
  var calls: [Call]
  var usage: Scenario.Usage
  /// The text in the pieces in which it is streamed.
  var pieces: [String]

  init(_ turn: Scenario.Turn, to asked: Asked, number: Int) {
    id = "\(number)"
    model = asked.model
    calls = turn.calls.enumerated().compactMap { index, call in
      asked.tool(call.tool).map {
        Call(id: "call_\(asked.turn)_\(index)_\(number)", tool: $0, arguments: call.arguments)
      }
    }
    // Side requests (titles, summaries) offer no tools: they get words.
    text = turn.text.isEmpty && calls.isEmpty ? "Done." : turn.text
    usage = turn.usage ?? .standard(turn: asked.turn)
    if asked.dialect != .anthropic { usage.cacheWrite = 0 }
    pieces = Self.split(text, into: turn.pieces)
  }

  static func split(_ text: String, into count: Int?) -> [String] {
    guard !text.isEmpty else { return [] }
    if let count, count > 0 { return (0..<count).map { $0 == 0 ? text : "." } }
    var pieces: [String] = [""]
    for character in text {
      pieces[pieces.count - 1].append(character)
      if character == " " { pieces.append("") }
    }
    return pieces.filter { !$0.isEmpty }
  }
}
