import JSON

/// OpenAI Chat Completions (https://platform.openai.com/docs/api-reference/chat).
struct ChatWriter: DialectWriter {
  func whole(_ reply: Reply) -> JSONValue {
    var message: [String: JSONValue] = [
      "role": "assistant", "content": reply.text.isEmpty ? .null : .string(reply.text), "refusal": .null,
    ]
    if !reply.calls.isEmpty {
      message["tool_calls"] = .array(reply.calls.map { call($0, arguments: $0.arguments.compactText) })
    }
    return [
      "id": .string("chatcmpl-\(reply.id)"), "object": "chat.completion", "created": 1_800_000_000,
      "model": .string(reply.model),
      "choices": [["index": 0, "message": .object(message), "logprobs": .null, "finish_reason": stop(reply)]],
      "usage": usage(reply),
    ]
  }

  func events(_ reply: Reply, _ asked: Asked) -> [StreamEvent] {
    func chunk(_ delta: JSONValue, finish: JSONValue = .null) -> JSONValue {
      var chunk = frame(reply)
      chunk["choices"] = [["index": 0, "delta": delta, "logprobs": .null, "finish_reason": finish]]
      if asked.includesUsage { chunk["usage"] = .null }
      return .object(chunk)
    }
    var events = [chunk(["role": "assistant", "content": ""])]
    events += reply.pieces.map { chunk(["content": .string($0)]) }
    for (index, made) in reply.calls.enumerated() {
      var first = call(made, arguments: "").object ?? [:]
      first["index"] = .count(index)
      events.append(chunk(["tool_calls": [.object(first)]]))
      events += halves(made.arguments.compactText).map {
        chunk(["tool_calls": [["index": .count(index), "function": ["arguments": .string($0)]]]])
      }
    }
    events.append(chunk([:], finish: stop(reply)))
    if asked.includesUsage {
      var last = frame(reply)
      last["choices"] = []
      last["usage"] = usage(reply)
      events.append(.object(last))
    }
    return events.map { StreamEvent($0, named: false) } + [StreamEvent(data: "[DONE]")]
  }

  func error(_ status: Int) -> JSONValue {
    let codes = [401: "invalid_api_key", 402: "insufficient_quota", 404: "model_not_found", 429: "rate_limit_exceeded"]
    return [
      "error": [
        "message": .string("the stand-in says \(status)"),
        "type": status >= 500 ? "server_error" : "invalid_request_error", "param": .null,
        "code": codes[status].map { .string($0) } ?? .null,
      ]
    ]
  }

  private func stop(_ reply: Reply) -> JSONValue { reply.calls.isEmpty ? "stop" : "tool_calls" }

  private func call(_ call: Reply.Call, arguments: String) -> JSONValue {
    [
      "id": .string(call.id), "type": "function",
      "function": ["name": .string(call.tool.name), "arguments": .string(arguments)],
    ]
  }

  private func frame(_ reply: Reply) -> [String: JSONValue] {
    [
      "id": .string("chatcmpl-\(reply.id)"), "object": "chat.completion.chunk", "created": 1_800_000_000,
      "model": .string(reply.model),
    ]
  }

  private func usage(_ reply: Reply) -> JSONValue {
    let input = reply.usage.input + reply.usage.cacheRead
    return [
      "prompt_tokens": .count(input), "completion_tokens": .count(reply.usage.output),
      "total_tokens": .count(input + reply.usage.output),
      "prompt_tokens_details": ["cached_tokens": .count(reply.usage.cacheRead)],
    ]
  }
}
