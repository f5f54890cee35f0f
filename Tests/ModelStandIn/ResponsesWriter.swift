import JSON

/// OpenAI Responses (https://platform.openai.com/docs/api-reference/responses-streaming).
struct ResponsesWriter: DialectWriter {
  func whole(_ reply: Reply) -> JSONValue {
    response(reply, status: "completed", output: items(reply).map(\.done), usage: usage(reply))
  }

  func events(_ reply: Reply, _ asked: Asked) -> [StreamEvent] {
    var events: [[String: JSONValue]] = []
    func add(_ type: String, _ members: [String: JSONValue]) {
      events.append(
        members.merging(["type": .string(type), "sequence_number": .count(events.count)]) { $1 })
    }
    let begun = response(reply, status: "in_progress", output: [], usage: .null)
    add("response.created", ["response": begun])
    add("response.in_progress", ["response": begun])
    let items = items(reply)
    for (index, item) in items.enumerated() {
      let place: [String: JSONValue] = ["output_index": .count(index)]
      add("response.output_item.added", place.merging(["item": item.begun]) { $1 })
      let id = place.merging(["item_id": item.done["id"] ?? ""]) { $1 }
      switch item.kind {
      case .message: text(reply, at: id, add)
      case .function(let arguments):
        for half in halves(arguments) {
          add("response.function_call_arguments.delta", id.merging(["delta": .string(half)]) { $1 })
        }
        add("response.function_call_arguments.done", id.merging(["arguments": .string(arguments)]) { $1 })
      case .custom(let input):
        add("response.custom_tool_call_input.delta", id.merging(["delta": .string(input)]) { $1 })
        add("response.custom_tool_call_input.done", id.merging(["input": .string(input)]) { $1 })
      }
      add("response.output_item.done", place.merging(["item": item.done]) { $1 })
    }
    add("response.completed", ["response": whole(reply)])
    return events.map { StreamEvent(.object($0), named: true) }
  }

  private func text(_ reply: Reply, at id: [String: JSONValue], _ add: (String, [String: JSONValue]) -> Void) {
    let place = id.merging(["content_index": 0]) { $1 }
    add("response.content_part.added", place.merging(["part": part("")]) { $1 })
    for piece in reply.pieces {
      add("response.output_text.delta", place.merging(["delta": .string(piece), "logprobs": []]) { $1 })
    }
    add("response.output_text.done", place.merging(["text": .string(reply.pieces.joined()), "logprobs": []]) { $1 })
    add("response.content_part.done", place.merging(["part": part(reply.pieces.joined())]) { $1 })
  }

  func error(_ status: Int) -> JSONValue { ChatWriter().error(status) }

  private enum Kind { case message, function(String), custom(String) }
  private struct Item {
    var kind: Kind
    var begun: JSONValue
    var done: JSONValue
  }

  private func items(_ reply: Reply) -> [Item] {
    var items: [Item] = []
    if !reply.text.isEmpty {
      func message(_ status: JSONValue, _ content: [JSONValue]) -> JSONValue {
        [
          "id": .string("msg_\(reply.id)"), "type": "message", "role": "assistant", "status": status,
          "content": .array(content),
        ]
      }
      items.append(
        Item(
          kind: .message, begun: message("in_progress", []),
          done: message("completed", [part(reply.pieces.joined())])))
    }
    return items + reply.calls.map(item)
  }

  private func item(_ call: Reply.Call) -> Item {
    let input = call.arguments["input"]?.string ?? call.arguments.compactText
    let kind: Kind = call.tool.isCustom ? .custom(input) : .function(call.arguments.compactText)
    func made(_ status: JSONValue, _ payload: String) -> JSONValue {
      var item: [String: JSONValue] = [
        "id": .string("fc_\(call.id)"), "type": call.tool.isCustom ? "custom_tool_call" : "function_call",
        "status": status, "name": .string(call.tool.name), "call_id": .string(call.id),
        call.tool.isCustom ? "input" : "arguments": .string(payload),
      ]
      item["namespace"] = call.tool.namespace.map { .string($0) }
      return .object(item)
    }
    let payload = call.tool.isCustom ? input : call.arguments.compactText
    return Item(kind: kind, begun: made("in_progress", ""), done: made("completed", payload))
  }

  private func part(_ text: String) -> JSONValue {
    ["type": "output_text", "text": .string(text), "annotations": [], "logprobs": []]
  }

  private func response(_ reply: Reply, status: JSONValue, output: [JSONValue], usage: JSONValue) -> JSONValue {
    [
      "id": .string("resp_\(reply.id)"), "object": "response", "created_at": 1_800_000_000, "status": status,
      "error": .null, "incomplete_details": .null, "model": .string(reply.model), "output": .array(output),
      "parallel_tool_calls": true, "tools": [], "usage": usage,
    ]
  }

  private func usage(_ reply: Reply) -> JSONValue {
    let input = reply.usage.input + reply.usage.cacheRead
    return [
      "input_tokens": .count(input), "input_tokens_details": ["cached_tokens": .count(reply.usage.cacheRead)],
      "output_tokens": .count(reply.usage.output), "output_tokens_details": ["reasoning_tokens": 0],
      "total_tokens": .count(input + reply.usage.output),
    ]
  }
}
