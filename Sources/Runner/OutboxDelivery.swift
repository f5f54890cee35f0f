import Hub
import Logging
import Observe
import Work

/// What an answer of the Hub means for an effect. Pure.
enum DeliveryAnswer: Sendable, Hashable {
  /// The Hub has it.
  case taken(Taken)
  /// The Hub will not have it, today or tomorrow.
  case refused(String)
  /// Again, not before `after` where the Hub said so.
  case later(String, after: Duration?)

  /// How the Hub came to have it.
  enum Taken: Sendable, Hashable {
    /// By this call; the id of what it made, where it could be read.
    case now(id: String?)
    /// By an earlier one, with other words: those stand.
    case earlier
    /// By an earlier one, and it was found there.
    case found(id: String)
  }

  /// Of a call that failed.
  init(_ error: any Error, of kind: HubCall.Kind) {
    let sentence = "\(kind.failure): \(error)"
    guard let error = error as? HubError else {
      self = .later(sentence, after: nil)
      return
    }
    switch error.status {
    // It did what was asked and said it in words that can't be read.
    case .some(200..<300): self = .taken(.now(id: nil))
    case 409: self = .taken(.earlier)
    // A key that is wrong is mended by the operator; nobody's words are thrown away for it.
    case 401: self = .later("\(sentence); check HUB_API_KEY", after: nil)
    case .some where !error.isTransient: self = .refused(sentence)
    default: self = .later(sentence, after: error.retryAfter)
    }
  }
}

/// How one turn of delivery ended.
struct DeliveryTurn: Sendable {
  enum End: Sendable, Hashable {
    case delivered
    case later(String, after: Duration?)
    case refused(String)
    /// Somebody else delivers.
    case stale
  }
  var end: End
  /// Of all effects, as far as it came.
  var states: [Int: OutboxEffect.State]
  /// What became of the answer, where it was taken.
  var answer: DeliveryAnswer.Taken?
}

/// Sends what is kept, in order, one turn: what can't be sent now is left for later.
struct OutboxDelivery: Sendable {
  let hub: any HubAPI
  let metrics: Metrics
  let logger: Logger
  /// Notes states where they are kept; false: somebody else delivers.
  let step: @Sendable ([Int: OutboxEffect.State]) async throws -> Bool

  /// How long an entry waits after `tries` turns that did not end it: half a second at first, a minute at most, a quarter
  /// of it by chance, so that all that waits doesn't come back at one moment; and as long as the Hub asked for, up to an hour.
  static func wait(tries: Int, asked: Duration?, chance: Double) -> Duration {
    let exponential = min(Duration.seconds(60), .milliseconds(500 << min(max(tries, 0), 7)))
    return max(exponential * (0.75 + chance / 2), min(asked ?? .zero, .seconds(3600)))
  }

  /// One turn.
  /// - Parameters:
  ///   - calls: nil where the kept bytes can't be read.
  ///   - states: as they are kept.
  ///   - answerIsFresh: the answer was noted as being sent by this very turn, so that nobody has sent it before.
  func turn(_ calls: [HubCall?], _ states: [OutboxEffect.State], answerIsFresh: Bool) async throws -> DeliveryTurn {
    var turn = DeliveryTurn(
      end: .delivered, states: Dictionary(uniqueKeysWithValues: states.enumerated().map { ($0, $1) }))
    let answer = calls.firstIndex { $0?.kind == .comment }
    if let answer, let call = calls[answer] {
      try await sendAnswer(call, at: answer, isFresh: answerIsFresh, &turn)
      switch turn.end {
      case .later, .stale: return turn
      case .delivered, .refused: break
      }
    }
    // Marks say that it was answered. After a refusal they wait with it for an operator.
    // What can't be read may be the answer.
    let isAnswered =
      answer.map { turn.states[$0] == .sent } ?? !calls.indices.contains {
        calls[$0] == nil && turn.states[$0] != .sent
      }
    let rest = calls.indices.filter { index in
      let isOpen = turn.states[index] == .ready || turn.states[index] == .sending
      return index != answer && isOpen && (isAnswered || calls[index]?.kind != .readMarks)
    }
    // One note for all of them: sent twice they do no harm where keys are honoured.
    for index in rest { turn.states[index] = .sending }
    if !rest.isEmpty, try await !step(turn.states.filter { $0.value == .sent || $0.value == .sending }) {
      turn.end = .stale
      return turn
    }
    for index in rest {
      guard let call = calls[index] else {
        refuse(index, "kept bytes can't be read", &turn)
        continue
      }
      switch await send(call) {
      case .taken:
        turn.states[index] = .sent
      case .refused(let sentence): refuse(index, sentence, &turn)
      case .later(let sentence, let after):
        turn.end = .later(sentence, after: after)
        return turn
      }
    }
    return turn
  }

  private func sendAnswer(_ call: HubCall, at index: Int, isFresh: Bool, _ turn: inout DeliveryTurn) async throws {
    let state = turn.states[index] ?? .ready
    if state == .sent { return }
    var answer: DeliveryAnswer?
    if !isFresh {
      if state != .ready { answer = await look(for: call) }
      // Looking may have taken its time, and so may whatever was before this turn: is it still ours to send?
      turn.states[index] = .sending
      if answer == nil, try await !step([index: .sending]) {
        turn.end = .stale
        return
      }
    }
    let result: DeliveryAnswer
    if let answer { result = answer } else { result = await send(call) }
    switch result {
    case .taken(let how):
      turn.states[index] = .sent
      turn.answer = how
    case .refused(let sentence): refuse(index, sentence, &turn)
    case .later(let sentence, let after): turn.end = .later(sentence, after: after)
    }
  }

  /// Whether an earlier try left it in the Hub; nil: it did not, or nobody can tell.
  private func look(for call: HubCall) async -> DeliveryAnswer? {
    do {
      guard let found = try await call.find(at: hub) else { return nil }
      metrics.increment("botburrow_outbox_found_total")
      return .taken(.found(id: found.id))
    } catch {
      // A thread that is gone takes no answer either: asking to post it gives the reason.
      guard case .later(let sentence, let after) = DeliveryAnswer(error, of: call.kind) else { return nil }
      return .later(sentence, after: after)
    }
  }

  /// The first reason is the one that is told.
  private func refuse(_ index: Int, _ sentence: String, _ turn: inout DeliveryTurn) {
    turn.states[index] = .refused
    if case .refused = turn.end {} else { turn.end = .refused(sentence) }
  }

  private func send(_ call: HubCall) async -> DeliveryAnswer {
    do {
      let id = try await call.make(at: hub)
      metrics.increment("botburrow_outbox_delivered_total", [("effect", call.kind.rawValue)])
      return .taken(.now(id: id))
    } catch {
      let answer = DeliveryAnswer(error, of: call.kind)
      switch answer {
      case .taken(.now):
        metrics.increment("botburrow_outbox_delivered_total", [("effect", call.kind.rawValue)])
        logger.warning("effect taken, the Hub's reply is unreadable", metadata: ["error": "\(error)"])
      case .later: metrics.increment("botburrow_outbox_retries_total", [("effect", call.kind.rawValue)])
      case .taken, .refused: break
      }
      return answer
    }
  }
}
