import EventStream
import JSONText

/// OpenAI Chat Completions, streamed, as many servers speak it.
public struct ChatCompletions: DialectForm {
  /// Below the gateway's URL.
  public static let path = "/v1/chat/completions"
  /// Headers besides the key's.
  public static let headers: [(name: String, value: String)] = []

  /// The request's body.
  public static func body(_ request: ModelRequest, _ brief: LoopBrief) -> JSONValue {
    var messages: [JSONValue] = []
    if !request.system.isEmpty { messages.append(["role": "system", "content": .string(request.system)]) }
    for turn in request.turns { messages += Self.messages(turn) }
    var members: [String: JSONValue] = [
      "model": .string(brief.model), "messages": .array(messages), "stream": true,
      "stream_options": ["include_usage": true],
    ]
    members[brief.usesCompletionTokens ? "max_completion_tokens" : "max_tokens"] = .integer(Int64(request.answerTokens))
    members["temperature"] = brief.temperature.map { .number($0) }
    if !request.tools.isEmpty {
      members["tools"] = .array(
        request.tools.map { tool -> JSONValue in
          [
            "type": "function",
            "function": [
              "name": .string(tool.name), "description": .string(tool.about), "parameters": tool.schema,
            ],
          ]
        })
      if request.mustAnswer { members["tool_choice"] = "none" }
    }
    return .object(members)
  }

  /// Results are messages of their own, and come before what else the user says.
  private static func messages(_ turn: Turn) -> [JSONValue] {
    switch turn.role {
    case .assistant:
      var members: [String: JSONValue] = [
        "role": "assistant", "content": turn.text.isEmpty ? .null : .string(turn.text),
      ]
      if !turn.calls.isEmpty {
        members["tool_calls"] = .array(
          turn.calls.map { call -> JSONValue in
            [
              "id": .string(call.id), "type": "function",
              "function": ["name": .string(call.name), "arguments": .string(call.input.isEmpty ? "{}" : call.input)],
            ]
          })
      }
      return [.object(members)]
    case .user:
      let results = turn.parts.compactMap { part -> JSONValue? in
        guard case .result(let result) = part else { return nil }
        let text = result.isError ? "Error: \(result.text)" : result.text
        return ["role": "tool", "tool_call_id": .string(result.callID), "content": .string(text)]
      }
      return results + (turn.text.isEmpty ? [] : [["role": "user", "content": .string(turn.text)]])
    }
  }

  // MARK: Reading

  private var text = ""
  private var calls: [Int64: ToolCall] = [:]
  private var usage = ModelAnswer.Usage()
  private var stop = ModelAnswer.Stop.done
  private var sawEnd = false

  /// Nothing read yet.
  public init() {}

  /// Takes one event; true where the answer is whole.
  public mutating func take(_ event: SSEEvent) throws(ModelFailure) -> Bool {
    if event.data.elementsEqual("[DONE]".utf8) {
      // A server that says that it is done without a reason to stop was cut off behind our backs.
      if !sawEnd { throw ModelFailure(.passing(retryAfter: nil), "the model's stream ended without a finish_reason") }
      return true
    }
    let value: JSONValue
    do throws(JSONError) { value = try JSONValue(parsing: event.data) } catch {
      throw ModelFailure(.passing(retryAfter: nil), "an event of the model's stream can't be read: \(error)")
    }
    if let error = value["error"], error != .null {
      let words = error["message"]?.string ?? error.string ?? "an error"
      throw ModelFailure(.passing(retryAfter: nil), "the model's stream ended with: \(words.oneLine())")
    }
    if let counted = value["usage"], counted.object != nil {
      usage.input = Int(clamping: counted["prompt_tokens"]?.integer ?? 0)
      usage.output = Int(clamping: counted["completion_tokens"]?.integer ?? 0)
    }
    guard let choice = value["choices"]?.array?.first else { return false }
    text += choice["delta"]?["content"]?.string ?? ""
    for piece in choice["delta"]?["tool_calls"]?.array ?? [] { extend(piece) }
    switch choice["finish_reason"]?.string {
    case nil: break
    case "length":
      stop = .tokens
      sawEnd = true
    case "content_filter":
      stop = .refused("content_filter")
      sawEnd = true
    default: sawEnd = true
    }
    return false
  }

  /// The first piece of a call has id and name, the others more of its arguments.
  private mutating func extend(_ piece: JSONValue) {
    let index = piece["index"]?.integer ?? Int64(calls.count)
    var call = calls[index] ?? ToolCall(id: "call-\(index)", name: "", input: "")
    if let id = piece["id"]?.string, !id.isEmpty { call.id = id }
    call.name += piece["function"]?["name"]?.string ?? ""
    call.input += piece["function"]?["arguments"]?.string ?? ""
    calls[index] = call
  }

  /// Some servers leave `[DONE]` out.
  public var isWhole: Bool { sawEnd }

  /// What came, once it is whole.
  public var answer: ModelAnswer {
    let called = calls.sorted { $0.key < $1.key }.map { Turn.Part.call($0.value) }
    return ModelAnswer(parts: (text.isEmpty ? [] : [.text(text)]) + called, stop: stop, usage: usage)
  }
}
