import EventStream
import JSONText

/// Anthropic Messages, streamed. Source: the provider's reference "Streaming Messages".
public struct AnthropicMessages: DialectForm {
  /// Below the gateway's URL.
  public static let path = "/v1/messages"
  /// Headers besides the key's.
  public static let headers = [(name: "anthropic-version", value: "2023-06-01")]

  /// The request's body.
  public static func body(_ request: ModelRequest, _ brief: LoopBrief) -> JSONValue {
    var members: [String: JSONValue] = [
      "model": .string(brief.model), "max_tokens": .integer(Int64(request.answerTokens)), "stream": true,
      "messages": .array(
        request.turns.enumerated().map { index, turn in message(turn, isLast: index == request.turns.count - 1) }),
    ]
    if !request.system.isEmpty { members["system"] = [text(request.system, cached: true)] }
    members["temperature"] = brief.temperature.map { .number($0) }
    if !request.tools.isEmpty {
      members["tools"] = .array(
        request.tools.map {
          ["name": .string($0.name), "description": .string($0.about), "input_schema": $0.schema]
        })
      // A talk with calls in it must keep its tools, also where none may be used any more.
      if request.mustAnswer { members["tool_choice"] = ["type": "none"] }
    }
    return .object(members)
  }

  private static func message(_ turn: Turn, isLast: Bool) -> JSONValue {
    let count = turn.parts.count
    return [
      "role": .string(turn.role.rawValue),
      "content": .array(
        turn.parts.enumerated().map { index, part in block(part, cached: isLast && index == count - 1) }),
    ]
  }

  /// The last block is marked, so that the next call finds all of this one in the provider's cache.
  private static func block(_ part: Turn.Part, cached: Bool) -> JSONValue {
    switch part {
    case .text(let words): return text(words, cached: cached)
    case .call(let call):
      // What the model wrote as arguments and isn't an object can't be sent back as one.
      let input = (try? call.arguments()) ?? ["unreadable": .string(call.input)]
      return ["type": "tool_use", "id": .string(call.id), "name": .string(call.name), "input": input]
    case .result(let result):
      var members: [String: JSONValue] = [
        "type": "tool_result", "tool_use_id": .string(result.callID), "content": .string(result.text),
      ]
      if result.isError { members["is_error"] = true }
      if cached { members["cache_control"] = ["type": "ephemeral"] }
      return .object(members)
    }
  }

  private static func text(_ words: String, cached: Bool) -> JSONValue {
    var members: [String: JSONValue] = ["type": "text", "text": .string(words)]
    if cached { members["cache_control"] = ["type": "ephemeral"] }
    return .object(members)
  }

  // MARK: Reading

  private enum Block {
    case text(String)
    case call(ToolCall)
    /// Thinking and whatever comes: passed over.
    case other
  }
  private var blocks: [Int64: Block] = [:]
  private var usage = ModelAnswer.Usage()
  private var stop = ModelAnswer.Stop.done

  /// Nothing read yet.
  public init() {}

  /// Takes one event; true where the answer is whole.
  public mutating func take(_ event: SSEEvent) throws(ModelFailure) -> Bool {
    let value: JSONValue
    do throws(JSONError) { value = try JSONValue(parsing: event.data) } catch {
      throw ModelFailure(.passing(retryAfter: nil), "an event of the model's stream can't be read: \(error)")
    }
    switch value["type"]?.string {
    case "message_start": count(value["message"]?["usage"])
    case "content_block_start": begin(value)
    case "content_block_delta": extend(value)
    case "message_delta":
      count(value["usage"])
      switch value["delta"]?["stop_reason"]?.string {
      case "max_tokens", "model_context_window_exceeded": stop = .tokens
      case "refusal": stop = .refused("refusal")
      default: break
      }
    case "message_stop": return true
    case "error":
      let words = value["error"]?["message"]?.string ?? value["error"]?["type"]?.string ?? "an error"
      throw ModelFailure(.passing(retryAfter: nil), "the model's stream ended with: \(words.oneLine())")
    default: break
    }
    return false
  }

  /// Numbers are cumulative: the last one counts.
  private mutating func count(_ value: JSONValue?) {
    guard let value else { return }
    if value["input_tokens"]?.integer != nil {
      usage.input = ["input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens"].reduce(0) {
        $0 + Int(clamping: value[$1]?.integer ?? 0)
      }
    }
    if let output = value["output_tokens"]?.integer { usage.output = Int(clamping: output) }
  }

  private mutating func begin(_ value: JSONValue) {
    guard let index = value["index"]?.integer, let block = value["content_block"] else { return }
    switch block["type"]?.string {
    case "text": blocks[index] = .text(block["text"]?.string ?? "")
    case "tool_use":
      blocks[index] = .call(
        ToolCall(id: block["id"]?.string ?? "call-\(index)", name: block["name"]?.string ?? "", input: ""))
    default: blocks[index] = .other
    }
  }

  private mutating func extend(_ value: JSONValue) {
    guard let index = value["index"]?.integer, let delta = value["delta"] else { return }
    switch blocks[index] {
    case .text(let text): blocks[index] = .text(text + (delta["text"]?.string ?? ""))
    case .call(var call):
      call.input += delta["partial_json"]?.string ?? ""
      blocks[index] = .call(call)
    case .other, nil: break
    }
  }

  /// Never: this provider always sends its last event.
  public var isWhole: Bool { false }

  /// What came, once it is whole.
  public var answer: ModelAnswer {
    let parts = blocks.sorted { $0.key < $1.key }.compactMap { _, block -> Turn.Part? in
      switch block {
      // A provider takes no empty text back.
      case .text(let text): text.isEmpty ? nil : .text(text)
      case .call(let call): .call(call)
      case .other: nil
      }
    }
    return ModelAnswer(parts: parts, stop: stop, usage: usage)
  }
}
