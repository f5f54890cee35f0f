import Configuration
import JSONText

/// What the gateway needs to know of a request for a model, and how it changes one. Pure.
struct ModelRequest: Sendable {
  let dialect: ModelDialect
  let body: [UInt8]
  let model: String
  let streams: Bool
  /// The most output that the request allows; nil where it says nothing.
  let maxOutput: Int?
  /// The request asks for the counts at the end of its stream (chat).
  let asksForCounts: Bool
  private let places: [String: Range<Int>]
  /// The keys that say how much: a chat request may have an old and a new one, and which counts is the provider's choice.
  private let outputs: [(place: Range<Int>, count: Int)]

  private static let wanted: Set<String> = [
    "model", "stream", "max_tokens", "max_completion_tokens", "max_output_tokens", "stream_options", "thinking",
    "background", "n",
  ]

  /// Reads a body.
  /// - Throws: a sentence for the caller.
  init(_ dialect: ModelDialect, _ body: [UInt8]) throws(SkimError) {
    self.dialect = dialect
    self.body = body
    let places = try JSONSkim.members(body, Self.wanted)
    self.places = places
    func value(_ key: String) throws(SkimError) -> JSONValue? {
      guard let place = places[key] else { return nil }
      do {
        return try JSONValue(parsing: body[place])
      } catch {
        throw SkimError(description: "'\(key)' is not JSON")
      }
    }
    guard let model = try value("model")?.string, !model.isEmpty else {
      throw SkimError(description: "'model' is missing or not a text")
    }
    self.model = model
    switch try value("stream") {
    case .bool(let value)?: streams = value
    case nil, .null?: streams = false
    default: throw SkimError(description: "'stream' is not true or false")
    }
    // An answer that is fetched later would pass by the counting.
    if try value("background")?.bool == true {
      throw SkimError(description: "'background' is not served here; ask without it")
    }
    // Some providers read a text as a number.
    if let count = try value("n"), count != .null, count.integer.map({ $0 > 1 }) ?? true {
      throw SkimError(description: "'n' above 1 is not served here; ask once for each answer")
    }
    let keys: [String] =
      switch dialect {
      case .anthropic: ["max_tokens"]
      case .openAIChat: ["max_completion_tokens", "max_tokens"]
      case .openAIResponses: ["max_output_tokens"]
      }
    var stated: [(place: Range<Int>, count: Int)] = []
    for key in keys {
      guard let place = places[key], let count = try value(key), count != .null else { continue }
      guard let number = count.integer, (1...100_000_000).contains(number) else {
        throw SkimError(description: "'\(key)' is not a count of tokens")
      }
      stated.append((place, Int(number)))
    }
    outputs = stated
    maxOutput = stated.map(\.count).max()
    asksForCounts = try value("stream_options")?["include_usage"]?.bool ?? false
  }

  /// Tokens of thinking that the request wants below `maxOutput` (Anthropic); lowering it below these is an error there.
  var thinkingBudget: Int? {
    guard let place = places["thinking"] else { return nil }
    return (try? JSONValue(parsing: body[place]))?["budget_tokens"]?.integer.map { Int(clamping: $0) }
  }

  /// Whether the gateway has to ask for the counts of the stream itself.
  var needsCounts: Bool { dialect == .openAIChat && streams && !asksForCounts }

  /// The body for the provider: the same bytes, but for the most output where it must be lower, and a chat stream's
  /// `stream_options`.
  func upstreamBody(maxOutput lower: Int?) -> [UInt8] {
    var edits: [(Range<Int>, [UInt8])] = []
    if let lower {
      for output in outputs where output.count > lower { edits.append((output.place, Array("\(lower)".utf8))) }
    }
    if needsCounts {
      if let place = places["stream_options"] {
        var options = (try? JSONValue(parsing: body[place]))?.object ?? [:]
        options["include_usage"] = true
        edits.append((place, Array(JSONValue.object(options).compactText.utf8)))
      } else if let brace = body.firstIndex(of: UInt8(ascii: "{")) {
        // There is a member behind it: a body without 'model' was refused.
        edits.append((brace..<(brace + 1), Array(#"{"stream_options":{"include_usage":true},"#.utf8)))
      }
    }
    guard !edits.isEmpty else { return body }
    var result: [UInt8] = []
    var place = 0
    for (range, bytes) in edits.sorted(by: { $0.0.lowerBound < $1.0.lowerBound }) {
      result += body[place..<range.lowerBound]
      result += bytes
      place = range.upperBound
    }
    return result + body[place...]
  }
}
