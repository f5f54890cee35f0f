/// The loop's decisions: receive → reason → tool → observe → iterate → respond. Pure: events in, one action out; whoever
/// drives it talks to the model, runs tools and keeps the time.
public struct AgentLoop: Sendable {
  /// What happened.
  public enum Event: Sendable {
    case started
    case answered(ModelAnswer)
    case failed(ModelFailure)
    /// Of the calls that were to be run, in their order.
    case ran([ToolResult])
    /// The wait is over.
    case waited
  }
  /// What to do next.
  public enum Action: Sendable, Hashable {
    case callModel(ModelRequest)
    /// Known tools, with arguments that are objects.
    case runTools([ToolCall])
    case wait(seconds: Double)
    case finish(LoopEnd)
  }

  private let brief: LoopBrief
  private let tools: [ToolDefinition]
  private let names: Set<String>
  private var turns: [Turn]
  private var usage = ModelAnswer.Usage()
  private var iterations = 0
  /// Failed tries of the call that is on its way.
  private var tries = 0
  private var shortenings = 0
  private var mustAnswer = false
  /// Results of calls that weren't run, with the place of each.
  private var refused: [Int: ToolResult] = [:]
  /// Tokens that one byte of a request was; told by the provider with every answer.
  private var tokensPerByte = 0.25
  private var requestBytes = 0

  /// Tries of one call after the first.
  static let retries = 3
  /// Tokens of an answer that are worth a call.
  static let leastAnswer = 256
  /// The last part of the time is for the answer alone.
  static let answerShare = 0.8

  /// A loop that has not begun.
  public init(_ brief: LoopBrief, prompt: String, tools: [ToolDefinition]) {
    self.brief = brief
    self.tools = tools
    names = Set(tools.map(\.name))
    turns = [Turn(.user, [.text(prompt)])]
  }

  /// Decides what follows from an event.
  /// - Parameter elapsed: seconds since the start.
  public mutating func next(_ event: Event, at elapsed: Double) -> Action {
    guard elapsed < brief.limits.seconds else {
      return fail("the time of \(Int(brief.limits.seconds)) s was over before the model had answered")
    }
    switch event {
    case .started, .waited: return call(at: elapsed)
    case .answered(let answer): return take(answer, at: elapsed)
    case .failed(let failure): return take(failure, at: elapsed)
    case .ran(let results): return observe(results, at: elapsed)
    }
  }

  // MARK: The model

  private mutating func call(at elapsed: Double) -> Action {
    let overhead = brief.system.utf8.count + tools.reduce(0) { $0 + $1.bytes }
    let room = Room(
      window: brief.window, left: brief.limits.tokens - usage.total, answer: brief.answerTokens, overhead: overhead,
      tokensPerByte: tokensPerByte, shortenings: shortenings)
    turns = Compaction.fit(turns, bytes: room.talkBytes)
    let bytes = overhead + turns.reduce(0) { $0 + $1.bytes }
    let estimate = Int(Double(bytes) * tokensPerByte)
    let answer = min(brief.answerTokens, room.left - estimate)
    guard answer >= Self.leastAnswer else {
      return fail(
        "the budget of \(brief.limits.tokens) tokens is used up (\(usage.total)), before the model had answered")
    }
    // Another call would send all this again, and more.
    let isLast =
      iterations + 1 >= brief.limits.iterations || room.left < 2 * (estimate + answer)
      || elapsed > brief.limits.seconds * Self.answerShare
    if isLast, !mustAnswer {
      mustAnswer = true
      if iterations > 0 { addToLastTurn("(No more tools can be used: answer now with what you know.)") }
    }
    requestBytes = bytes
    return .callModel(
      ModelRequest(system: brief.system, turns: turns, tools: tools, mustAnswer: mustAnswer, answerTokens: answer))
  }

  private mutating func take(_ answer: ModelAnswer, at elapsed: Double) -> Action {
    iterations += 1
    (tries, shortenings) = (0, 0)
    usage.input += answer.usage.input
    usage.output += answer.usage.output
    // A model counts otherwise than by fours; what it said of the last request is the best guess for the next.
    if answer.usage.input > 0, requestBytes > 0 {
      tokensPerByte = min(1, max(0.1, Double(answer.usage.input) / Double(requestBytes)))
    }
    if case .refused(let word) = answer.stop { return fail("the model refused to answer (\(word))") }
    let turn = Turn(.assistant, answer.parts)
    if turn.calls.isEmpty { return respond(turn.text, answer.stop) }
    if mustAnswer {
      // Words beside a call that can't be made any more are the best there is.
      return turn.text.isEmpty
        ? fail("the model asked for tools until its \(iterations) calls, its tokens or its time were used up")
        : respond(turn.text, answer.stop)
    }
    turns.append(turn)
    return check(turn.calls, stop: answer.stop, at: elapsed)
  }

  private mutating func take(_ failure: ModelFailure, at elapsed: Double) -> Action {
    switch failure.kind {
    case .final: return fail(failure.sentence)
    case .tooLong:
      shortenings += 1
      guard shortenings <= 3 else { return fail(failure.sentence) }
      return call(at: elapsed)
    case .passing(let retryAfter):
      tries += 1
      let wait = max(0, retryAfter ?? Double(1 << (tries - 1)))
      guard tries <= Self.retries, elapsed + wait < brief.limits.seconds else {
        return fail(tries > 1 ? "\(failure.sentence) (tried \(tries) times)" : failure.sentence)
      }
      return .wait(seconds: wait)
    }
  }

  // MARK: Tools

  /// Calls that can't be run are answered at once; the model reads why and tries something else.
  private mutating func check(_ calls: [ToolCall], stop: ModelAnswer.Stop, at elapsed: Double) -> Action {
    refused = [:]
    var runnable: [ToolCall] = []
    for (place, call) in calls.enumerated() {
      do throws(ToolTrouble) {
        guard names.contains(call.name) else {
          throw ToolTrouble(
            "there is no tool '\(call.name.oneLine(limit: 80))'; there are: \(tools.map(\.name).joined(separator: ", "))"
          )
        }
        if stop == .tokens, place == calls.count - 1 {
          throw ToolTrouble(
            "this call was cut off at the end of your answer's \(brief.answerTokens) tokens; write less at once")
        }
        _ = try call.arguments()
        runnable.append(call)
      } catch {
        refused[place] = ToolResult(call, error.description, isError: true)
      }
    }
    return runnable.isEmpty ? observe([], at: elapsed) : .runTools(runnable)
  }

  private mutating func observe(_ results: [ToolResult], at elapsed: Double) -> Action {
    let calls = turns.last?.calls ?? []
    var run = results[...]
    let all = calls.enumerated().map { place, call in
      refused[place] ?? run.popFirst() ?? ToolResult(call, "the tool gave no result", isError: true)
    }
    refused = [:]
    turns.append(Turn(.user, all.map { .result($0) }))
    return call(at: elapsed)
  }

  private mutating func addToLastTurn(_ text: String) {
    guard let last = turns.indices.last, turns[last].role == .user else { return }
    turns[last].parts.append(.text(text))
  }

  // MARK: The end

  private func respond(_ text: String, _ stop: ModelAnswer.Stop) -> Action {
    if stop == .tokens, text.allSatisfy(\.isWhitespace) {
      return fail(
        "the model's \(brief.answerTokens) tokens were over before it had said anything; raise brain.max_tokens")
    }
    return .finish(LoopEnd(LoopEnd.Outcome(reading: text), usage: usage, iterations: iterations, model: brief.model))
  }

  private func fail(_ sentence: String) -> Action {
    .finish(LoopEnd(.failed(sentence), usage: usage, iterations: iterations, model: brief.model))
  }
}

/// How much of the talk can be sent. Pure.
struct Room {
  /// Tokens that are left of the budget.
  var left: Int
  /// Bytes of turns that fit.
  var talkBytes: Int

  init(window: Int, left: Int, answer: Int, overhead: Int, tokensPerByte: Double, shortenings: Int) {
    self.left = left
    // Three quarters of the window, as bytes are a guess; of the budget no more than would leave nothing for an answer.
    let byWindow = (window - answer) * 3 / 4
    let byBudget = left - min(answer, 1024)
    // A provider that finds it too long knows better: half, a quarter, an eighth.
    let tokens = max(0, min(byWindow, byBudget)) >> shortenings
    talkBytes = max(0, Int(Double(tokens) / tokensPerByte) - overhead)
  }
}
