import JSONText
import Testing

@testable import AgentLoop

private let tool = ToolDefinition(name: "Look", about: "Looks.", schema: ["type": "object"])

private func brief(_ change: (inout LoopBrief) -> Void = { _ in }) -> LoopBrief {
  var brief = LoopBrief(dialect: .anthropic, modelURL: "http://127.0.0.1:1", model: "m")
  change(&brief)
  return brief
}

private func says(_ text: String, tokens: Int = 100) -> AgentLoop.Event {
  .answered(ModelAnswer(parts: [.text(text)], usage: .init(input: tokens, output: 1)))
}

private func calls(_ calls: ToolCall..., text: String = "", tokens: Int = 100) -> AgentLoop.Event {
  let words: [Turn.Part] = text.isEmpty ? [] : [.text(text)]
  return .answered(ModelAnswer(parts: words + calls.map { .call($0) }, usage: .init(input: tokens, output: 1)))
}

private func look(_ id: String = "1", _ input: String = "{}", name: String = "Look") -> ToolCall {
  ToolCall(id: id, name: name, input: input)
}

extension AgentLoop.Action {
  fileprivate var request: ModelRequest? { if case .callModel(let request) = self { request } else { nil } }
  fileprivate var outcome: LoopEnd.Outcome? { if case .finish(let end) = self { end.outcome } else { nil } }
  fileprivate var failure: String? { if case .failed(let sentence)? = outcome { sentence } else { nil } }
}

@Suite struct LoopTests {
  @Test func `Receive, reason, tool, observe, respond`() throws {
    var loop = AgentLoop(brief { $0.system = "sys" }, prompt: "Go.", tools: [tool])
    let first = try #require(loop.next(.started, at: 0).request)
    #expect(
      first
        == ModelRequest(
          system: "sys", turns: [Turn(.user, [.text("Go.")])], tools: [tool], mustAnswer: false, answerTokens: 4096))
    #expect(loop.next(calls(look(), text: "Hm."), at: 1) == .runTools([look()]))
    let second = try #require(loop.next(.ran([ToolResult(look(), "seen")]), at: 2).request)
    #expect(
      second.turns == [
        Turn(.user, [.text("Go.")]), Turn(.assistant, [.text("Hm."), .call(look())]),
        Turn(.user, [.result(ToolResult(look(), "seen"))]),
      ])
    #expect(
      loop.next(says("Done."), at: 3)
        == .finish(
          LoopEnd(.answer("Done.", postID: nil), usage: .init(input: 200, output: 2), iterations: 2, model: "m")))
  }

  @Test
  func `Unknown tools and unreadable arguments go back to the model beside what can be run, in the order of the calls`()
    throws
  {
    var loop = AgentLoop(brief(), prompt: "Go.", tools: [tool])
    _ = loop.next(.started, at: 0)
    let asked = [look("1", name: "Fly"), look("2"), look("3", "{\"a\":"), look("4", "[1]")]
    #expect(loop.next(calls(asked[0], asked[1], asked[2], asked[3]), at: 1) == .runTools([asked[1]]))
    let request = try #require(loop.next(.ran([ToolResult(asked[1], "seen")]), at: 2).request)
    let results = try #require(request.turns.last).parts.compactMap { part -> ToolResult? in
      if case .result(let result) = part { result } else { nil }
    }
    #expect(results.map(\.callID) == ["1", "2", "3", "4"])
    #expect(results.map(\.isError) == [true, false, true, true])
    #expect(results[0].text == "there is no tool 'Fly'; there are: Look")
    #expect(results[2].text.contains("one complete JSON object"))
    #expect(results[3].text == "the arguments of Look are not a JSON object")
  }

  @Test func `Where nothing can be run the model is asked again at once`() throws {
    var loop = AgentLoop(brief(), prompt: "Go.", tools: [tool])
    _ = loop.next(.started, at: 0)
    #expect(loop.next(calls(look(name: "Fly")), at: 1).request?.turns.count == 3)
  }

  @Test func `A call that was cut off isn't run`() throws {
    var loop = AgentLoop(brief(), prompt: "Go.", tools: [tool])
    _ = loop.next(.started, at: 0)
    let answer = ModelAnswer(parts: [.call(look("1")), .call(look("2"))], stop: .tokens)
    #expect(loop.next(.answered(answer), at: 1) == .runTools([look("1")]))
  }

  @Test func `The last iteration must answer; a model that only calls tools has failed`() throws {
    var loop = AgentLoop(brief { $0.limits.iterations = 2 }, prompt: "Go.", tools: [tool])
    #expect(loop.next(.started, at: 0).request?.mustAnswer == false)
    _ = loop.next(calls(look()), at: 1)
    let last = try #require(loop.next(.ran([ToolResult(look(), "seen")]), at: 2).request)
    #expect(last.mustAnswer)
    #expect(last.turns.last?.text.contains("answer now") == true)
    var other = loop
    #expect(loop.next(calls(look()), at: 3).failure?.contains("until its 2 calls") == true)
    // Words beside the call are an answer.
    #expect(other.next(calls(look(), text: "So be it."), at: 3).outcome == .answer("So be it.", postID: nil))
    var single = AgentLoop(brief { $0.limits.iterations = 1 }, prompt: "Go.", tools: [tool])
    #expect(single.next(.started, at: 0).request?.mustAnswer == true)
  }

  @Test func `The last call that the token budget pays for must answer, and there is none beyond it`() throws {
    var loop = AgentLoop(brief { $0.limits.tokens = 20_000 }, prompt: "Go.", tools: [tool])
    #expect(loop.next(.started, at: 0).request?.mustAnswer == false)
    _ = loop.next(calls(look(), tokens: 13_000), at: 1)
    let last = try #require(loop.next(.ran([ToolResult(look(), "seen")]), at: 2).request)
    #expect(last.mustAnswer)
    // What one call may still say is what is left of the budget.
    #expect(last.answerTokens <= 20_000 - 13_001)
    var spent = AgentLoop(brief { $0.limits.tokens = 1000 }, prompt: "Go.", tools: [tool])
    _ = spent.next(.started, at: 0)
    _ = spent.next(calls(look(), tokens: 990), at: 1)
    #expect(spent.next(.ran([ToolResult(look(), "seen")]), at: 2).failure?.contains("budget of 1000 tokens") == true)
  }

  @Test func `Late calls must answer, and after the time there is nothing`() throws {
    var loop = AgentLoop(brief(), prompt: "Go.", tools: [tool])
    _ = loop.next(.started, at: 0)
    _ = loop.next(calls(look()), at: 239)
    #expect(loop.next(.ran([ToolResult(look(), "seen")]), at: 241).request?.mustAnswer == true)
    #expect(loop.next(says("Late."), at: 301).failure == "the time of 300 s was over before the model had answered")
  }

  @Test func `What may pass is tried three times more, after longer and longer waits, and then it has failed`() throws {
    let failure = AgentLoop.Event.failed(ModelFailure(.passing(retryAfter: nil), "overloaded"))
    var loop = AgentLoop(brief(), prompt: "Go.", tools: [tool])
    var request = loop.next(.started, at: 0)
    for seconds in [1.0, 2, 4] {
      #expect(loop.next(failure, at: 1) == .wait(seconds: seconds))
      let again = loop.next(.waited, at: 1)
      #expect(again == request)
      request = again
    }
    #expect(loop.next(failure, at: 1).failure == "overloaded (tried 4 times)")
  }

  @Test func `The server's word on the wait counts, where there is time for it`() {
    var loop = AgentLoop(brief(), prompt: "Go.", tools: [])
    _ = loop.next(.started, at: 0)
    #expect(loop.next(.failed(ModelFailure(.passing(retryAfter: 7), "busy")), at: 1) == .wait(seconds: 7))
    #expect(
      loop.next(.failed(ModelFailure(.passing(retryAfter: 400), "busy")), at: 9).failure == "busy (tried 2 times)")
    var final = AgentLoop(brief(), prompt: "Go.", tools: [])
    _ = final.next(.started, at: 0)
    #expect(final.next(.failed(ModelFailure(.final, "no key")), at: 1).failure == "no key")
  }

  @Test func `Tries begin anew with each call`() {
    var loop = AgentLoop(brief(), prompt: "Go.", tools: [tool])
    let failure = AgentLoop.Event.failed(ModelFailure(.passing(retryAfter: nil), "overloaded"))
    _ = loop.next(.started, at: 0)
    _ = loop.next(failure, at: 1)
    _ = loop.next(.waited, at: 2)
    _ = loop.next(calls(look()), at: 3)
    _ = loop.next(.ran([ToolResult(look(), "seen")]), at: 3)
    #expect(loop.next(failure, at: 4) == .wait(seconds: 1))
  }

  @Test func `A talk that the provider finds too long is halved, up to three times`() throws {
    var loop = AgentLoop(brief { $0.window = 20_000 }, prompt: "Go.", tools: [tool])
    _ = loop.next(.started, at: 0)
    _ = loop.next(calls(look()), at: 1)
    let long = String(repeating: "word ", count: 8000)
    var size = try #require(loop.next(.ran([ToolResult(look(), long)]), at: 1).request).bytes
    for _ in 0..<3 {
      let request = try #require(loop.next(.failed(ModelFailure(.tooLong, "too long")), at: 1).request)
      #expect(request.bytes < size * 2 / 3)
      size = request.bytes
    }
    #expect(loop.next(.failed(ModelFailure(.tooLong, "too long")), at: 1).failure == "too long")
  }

  @Test func `Refusals and answers that ended before they began are failures`() {
    var loop = AgentLoop(brief(), prompt: "Go.", tools: [])
    _ = loop.next(.started, at: 0)
    var other = loop
    #expect(
      loop.next(.answered(ModelAnswer(parts: [], stop: .refused("refusal"))), at: 1).failure?.contains("refused")
        == true)
    #expect(other.next(.answered(ModelAnswer(parts: [], stop: .tokens)), at: 1).failure?.contains("max_tokens") == true)
  }

  @Test(arguments: [
    ("Hello.", LoopEnd.Outcome.answer("Hello.", postID: nil)), ("  \n", .nothingToSay),
    ("NOTHING_TO_SAY", .nothingToSay),
    ("{\"post_id\": \"p-1\", \"answer\": \"Hi\"}", .answer("Hi", postID: "p-1")),
    ("```json\n{\"post_id\": \"p-1\", \"answer\": \"Hi\"}\n```", .answer("Hi", postID: "p-1")),
    ("{\"answer\": \" \"}", .nothingToSay), ("{\"nothing_to_say\": true}", .nothingToSay),
    ("{\"a\": 1}", .answer("{\"a\": 1}", postID: nil)), ("{not JSON", .answer("{not JSON", postID: nil)),
  ])
  func lastWords(text: String, outcome: LoopEnd.Outcome) {
    #expect(LoopEnd.Outcome(reading: text) == outcome)
  }

  @Test func briefTravels() throws {
    let brief = brief {
      $0.shell = .init()
      $0.shell.enabled = true
      $0.shell.allowedCommands = ["git"]
      $0.shell.blockedPatterns = ["rm -rf"]
      $0.temperature = 0.5
      $0.servers = [.init(name: "hub", url: "http://198.18.0.1:8001/mcp/hub")]
      $0.system = "You are.\n\"x\""
      $0.usesCompletionTokens = true
    }
    #expect(try LoopBrief(JSONValue(parsing: brief.json.compactText.utf8)) == brief)
    #expect(throws: JSONError("'model' is missing or not text")) {
      try LoopBrief(["dialect": "anthropic", "model_url": "u"])
    }
  }
}

extension ModelRequest {
  fileprivate var bytes: Int { turns.reduce(0) { $0 + $1.bytes } }
}
