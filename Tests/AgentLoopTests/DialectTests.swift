import EventStream
import JSONText
import Testing

@testable import AgentLoop

private let brief = {
  var brief = LoopBrief(dialect: .anthropic, modelURL: "http://127.0.0.1:1", model: "m")
  brief.temperature = 0.5
  return brief
}()
private let call = ToolCall(id: "c1", name: "Read", input: "{\"file_path\":\"a\"}")
private func request(mustAnswer: Bool = false) -> ModelRequest {
  ModelRequest(
    system: "sys",
    turns: [
      Turn(.user, [.text("Go.")]), Turn(.assistant, [.text("Hm."), .call(call)]),
      Turn(.user, [.result(ToolResult(call, "no such file", isError: true)), .text("Answer now.")]),
    ], tools: [ToolDefinition(name: "Read", about: "Reads.", schema: ["type": "object"])], mustAnswer: mustAnswer,
    answerTokens: 100)
}

private func read<Form: DialectForm>(_ form: Form.Type, _ events: [String]) throws(ModelFailure) -> ModelAnswer? {
  var dialect = Form()
  for event in events where try dialect.take(.init(data: Array(event.utf8))) { return dialect.answer }
  return dialect.isWhole ? dialect.answer : nil
}

@Suite struct DialectTests {
  @Test func anthropicBody() {
    let body = AnthropicMessages.body(request(mustAnswer: true), brief)
    #expect(
      body == [
        "model": "m", "max_tokens": 100, "stream": true, "temperature": 0.5,
        "system": [["type": "text", "text": "sys", "cache_control": ["type": "ephemeral"]]],
        "tools": [["name": "Read", "description": "Reads.", "input_schema": ["type": "object"]]],
        "tool_choice": ["type": "none"],
        "messages": [
          ["role": "user", "content": [["type": "text", "text": "Go."]]],
          [
            "role": "assistant",
            "content": [
              ["type": "text", "text": "Hm."],
              ["type": "tool_use", "id": "c1", "name": "Read", "input": ["file_path": "a"]],
            ],
          ],
          [
            "role": "user",
            "content": [
              ["type": "tool_result", "tool_use_id": "c1", "content": "no such file", "is_error": true],
              ["type": "text", "text": "Answer now.", "cache_control": ["type": "ephemeral"]],
            ],
          ],
        ],
      ])
    #expect(AnthropicMessages.body(request(), brief)["tool_choice"] == nil)
  }

  @Test func chatBody() {
    let body = ChatCompletions.body(request(mustAnswer: true), brief)
    #expect(
      body == [
        "model": "m", "max_tokens": 100, "stream": true, "stream_options": ["include_usage": true], "temperature": 0.5,
        "tools": [
          [
            "type": "function",
            "function": ["name": "Read", "description": "Reads.", "parameters": ["type": "object"]],
          ]
        ], "tool_choice": "none",
        "messages": [
          ["role": "system", "content": "sys"], ["role": "user", "content": "Go."],
          [
            "role": "assistant", "content": "Hm.",
            "tool_calls": [
              [
                "id": "c1", "type": "function",
                "function": ["name": "Read", "arguments": "{\"file_path\":\"a\"}"],
              ]
            ],
          ],
          ["role": "tool", "tool_call_id": "c1", "content": "Error: no such file"],
          ["role": "user", "content": "Answer now."],
        ],
      ])
    var newer = brief
    newer.usesCompletionTokens = true
    #expect(ChatCompletions.body(request(), newer)["max_completion_tokens"] == 100)
  }

  @Test func anthropicStream() throws {
    let answer = try read(
      AnthropicMessages.self,
      [
        #"{"type":"message_start","message":{"usage":{"input_tokens":10,"cache_read_input_tokens":5,"cache_creation_input_tokens":2,"output_tokens":1}}}"#,
        #"{"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":""}}"#,
        #"{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"x"}}"#,
        #"{"type":"content_block_start","index":1,"content_block":{"type":"text","text":""}}"#, #"{"type":"ping"}"#,
        #"{"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"Let "}}"#,
        #"{"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"me."}}"#,
        #"{"type":"content_block_start","index":2,"content_block":{"type":"tool_use","id":"t","name":"Bash","input":{}}}"#,
        #"{"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":"{\"a\""}}"#,
        #"{"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":":1}"}}"#,
        #"{"type":"message_delta","delta":{"stop_reason":"tool_use"},"usage":{"output_tokens":7}}"#,
        #"{"type":"message_delta","delta":{},"usage":{"output_tokens":9}}"#, #"{"type":"message_stop"}"#,
      ])
    #expect(
      answer
        == ModelAnswer(
          parts: [.text("Let me."), .call(ToolCall(id: "t", name: "Bash", input: "{\"a\":1}"))],
          usage: .init(input: 17, output: 9)))
  }

  @Test func chatStream() throws {
    let events = [
      #"{"choices":[{"delta":{"role":"assistant","content":"Let "}}],"usage":null}"#,
      #"{"choices":[{"delta":{"content":"me."}}]}"#,
      #"{"choices":[{"delta":{"tool_calls":[{"index":0,"id":"t","function":{"name":"Bash","arguments":""}}]}}]}"#,
      #"{"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\"a\":1}"}}]}}]}"#,
      #"{"choices":[{"delta":{},"finish_reason":"tool_calls"}]}"#,
      #"{"choices":[],"usage":{"prompt_tokens":17,"completion_tokens":9}}"#,
    ]
    let whole = ModelAnswer(
      parts: [.text("Let me."), .call(ToolCall(id: "t", name: "Bash", input: "{\"a\":1}"))],
      usage: .init(input: 17, output: 9))
    #expect(try read(ChatCompletions.self, events + ["[DONE]"]) == whole)
    // Some servers leave the last line out; a cut before the end is no answer.
    #expect(try read(ChatCompletions.self, events) == whole)
    #expect(try read(ChatCompletions.self, Array(events.prefix(3))) == nil)
  }

  @Test func errorsWithinAStreamMayPass() {
    for (form, event) in [
      (
        AnthropicMessages.self as any DialectForm.Type,
        #"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#
      ),
      (ChatCompletions.self, #"{"error":{"message":"Overloaded"}}"#),
    ] {
      var dialect = form.init()
      let failure = #expect(throws: ModelFailure.self) { try dialect.take(.init(data: Array(event.utf8))) }
      #expect(failure == ModelFailure(.passing(retryAfter: nil), "the model's stream ended with: Overloaded"))
    }
  }

  @Test(arguments: [
    (401, "", ModelFailure.Kind.final), (402, "billing_error", .final), (404, "", .final),
    (429, "", .passing(retryAfter: 3)),
    (429, "insufficient_quota", .final), (500, "", .passing(retryAfter: 3)), (529, "", .passing(retryAfter: 3)),
    (400, "context_length_exceeded", .tooLong), (413, "", .tooLong), (400, "", .final),
  ])
  func statuses(status: Int, type: String, kind: ModelFailure.Kind) {
    let body = #"{"error":{"type":"\#(type)","message":"words"}}"#
    let failure = ModelStatus.failure(status: status, body: Array(body.utf8), retryAfter: "3")
    #expect(failure == ModelFailure(kind, "the model gateway answered \(status): words"))
  }

  @Test func theServersWordOnRetriesComesFirst() {
    #expect(ModelStatus.failure(status: 500, body: [], shouldRetry: "false").kind == .final)
    let long =
      #"{"error":{"type":"invalid_request_error","message":"prompt is too long: 210000 tokens > 200000 maximum"}}"#
    #expect(ModelStatus.failure(status: 400, body: Array(long.utf8)).kind == .tooLong)
  }
}
