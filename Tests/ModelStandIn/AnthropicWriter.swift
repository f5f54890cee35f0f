import JSON

/// Anthropic Messages (https://docs.anthropic.com/en/docs/build-with-claude/streaming).
struct AnthropicWriter: DialectWriter {
  func whole(_ reply: Reply) -> JSONValue {
    var content: [JSONValue] = reply.text.isEmpty ? [] : [["type": "text", "text": .string(reply.text)]]
    content += reply.calls.map { call in
      ["type": "tool_use", "id": .string(id(call)), "name": .string(call.tool.name), "input": call.arguments]
    }
    return message(reply, content: content, stop: stop(reply), usage: usage(reply, output: reply.usage.output))
  }

  func events(_ reply: Reply, _ asked: Asked) -> [StreamEvent] {
    var events: [JSONValue] = [
      [
        "type": "message_start",
        "message": message(reply, content: [], stop: .null, usage: usage(reply, output: 1)),
      ]
    ]
    var index = 0
    func block(_ start: JSONValue, _ deltas: [JSONValue]) {
      events.append(["type": "content_block_start", "index": .count(index), "content_block": start])
      if index == 0 { events.append(["type": "ping"]) }
      for delta in deltas { events.append(["type": "content_block_delta", "index": .count(index), "delta": delta]) }
      events.append(["type": "content_block_stop", "index": .count(index)])
      index += 1
    }
    if !reply.text.isEmpty {
      block(
        ["type": "text", "text": ""], reply.pieces.map { ["type": "text_delta", "text": .string($0)] })
    }
    for call in reply.calls {
      block(
        ["type": "tool_use", "id": .string(id(call)), "name": .string(call.tool.name), "input": [:]],
        halves(call.arguments.compactText).map { ["type": "input_json_delta", "partial_json": .string($0)] })
    }
    events.append([
      "type": "message_delta", "delta": ["stop_reason": stop(reply), "stop_sequence": .null],
      "usage": usage(reply, output: reply.usage.output),
    ])
    events.append(["type": "message_stop"])
    return events.map { StreamEvent($0, named: true) }
  }

  func error(_ status: Int) -> JSONValue {
    let types = [
      400: "invalid_request_error", 401: "authentication_error", 402: "billing_error", 403: "permission_error",
      404: "not_found_error", 413: "request_too_large", 429: "rate_limit_error", 529: "overloaded_error",
    ]
    return [
      "type": "error",
      "error": [
        "type": .string(types[status] ?? "api_error"), "message": .string("the stand-in says \(status)"),
      ],
    ]
  }

  private func id(_ call: Reply.Call) -> String { "toolu_\(call.id)" }
  private func stop(_ reply: Reply) -> JSONValue { reply.calls.isEmpty ? "end_turn" : "tool_use" }

  private func message(_ reply: Reply, content: [JSONValue], stop: JSONValue, usage: JSONValue) -> JSONValue {
    [
      "id": .string("msg_\(reply.id)"), "type": "message", "role": "assistant", "model": .string(reply.model),
      "content": .array(content), "stop_reason": stop, "stop_sequence": .null, "usage": usage,
    ]
  }

  private func usage(_ reply: Reply, output: Int) -> JSONValue {
    [
      "input_tokens": .count(reply.usage.input), "cache_creation_input_tokens": .count(reply.usage.cacheWrite),
      "cache_read_input_tokens": .count(reply.usage.cacheRead), "output_tokens": .count(output),
    ]
  }
}
