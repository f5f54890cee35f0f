import Gateway
import Hub

extension Activation {
  /// What the Hub is told of a run: the answer, what was answered, what was used, that the agent was active.
  func calls(_ response: Response, marks: [String], use: Consumption?, prepared: Prepared) -> [HubCall] {
    var calls: [HubCall] = []
    if case .post(let answer) = response {
      let known = ([prepared.thread].compactMap { $0 } + prepared.feed).first { $0.id == answer.postID }
      let seen = known.map { OwnWords.comments(in: $0, by: answer.agentID, saying: answer.text).map(\.id) } ?? []
      calls.append(
        HubCall(
          agentID: answer.agentID, idempotencyKey: answer.idempotencyKey,
          content: .comment(postID: answer.postID, text: answer.text, seen: seen)))
    }
    for start in stride(from: 0, to: marks.count, by: Self.marksAtOnce) {
      let some = Array(marks[start..<min(start + Self.marksAtOnce, marks.count)])
      calls.append(call(.readMarks(notificationIDs: some), .readMarks(some)))
    }
    if let use { calls.append(consumption(use)) }
    return calls + [call(.activated, .activated)]
  }

  /// Notifications of one request: an item may name any number.
  private static let marksAtOnce = 500

  private func consumption(_ use: Consumption) -> HubCall {
    let number: EffectNumber = outbox.map { .use(run: $0.lease.token) } ?? .consumption(attempt: task.attempt)
    return call(number, .consumption(use))
  }

  private func call(_ number: EffectNumber, _ content: HubCall.Content) -> HubCall {
    HubCall(agentID: task.agentID, idempotencyKey: number.key(task.activationID), content: content)
  }

  /// Tells the Hub: by way of the outbox where there is one.
  func tell(_ calls: [HubCall], _ response: Response, marks: [String], _ end: inout ActivationEnd)
    async throws(ActivationFailure)
  {
    let postID: String?
    switch response {
    case .nothing(let reason): (end.posted, postID) = (.nothing(reason), nil)
    case .post(let answer): (end.posted, postID) = (.waiting, answer.postID)
    }
    guard let outbox else { return try await tellDirectly(calls, &end) }
    // From here on what is kept is delivered, whatever becomes of this runner.
    end.outbox = .waiting(.zero)
    let turn: DeliveryTurn
    do throws(ActivationFailure) {
      turn = try await outbox.deliver(calls, postID: postID, marks: marks)
    } catch {
      // Lost leases and a queue that can't be written: nobody knows whether it is kept, the queue does.
      end.outbox = nil
      throw error
    }
    switch turn.answer {
    case .now(let id): end.posted = .comment(id: id)
    case .found(let id): end.posted = .comment(id: id)
    case .earlier: end.posted = .earlier
    case nil: break
    }
    switch turn.end {
    case .delivered: end.outbox = .delivered
    case .later(let reason, let after):
      end.outbox = .waiting(OutboxDelivery.wait(tries: 0, asked: after, chance: Double.random(in: 0...1)))
      services.logger.notice("kept in the outbox", metadata: metadata.merging(["reason": "\(reason)"]) { $1 })
    case .refused(let reason): throw .dead(reason)
    case .stale: throw ActivationFailure.lost
    }
  }

  /// What a failed attempt used was used all the same.
  func report(_ use: Consumption) async {
    let call = consumption(use)
    guard let outbox else { return await telling(call) }
    do throws(ActivationFailure) {
      try await outbox.keep(call)
    } catch {
      undelivered(call, error)
    }
  }

  /// Without a queue: each call as often as it takes. An answer that is posted is not taken back because a report fails.
  private func tellDirectly(_ calls: [HubCall], _ end: inout ActivationEnd) async throws(ActivationFailure) {
    for call in calls {
      switch call.kind {
      case .comment: end.posted = try await post(call)
      case .readMarks:
        // Unread it would be answered again, so that this must succeed.
        try await asking(call.kind.failure) { () async throws in _ = try await call.make(at: services.hub) }
      case .consumption, .activated: await telling(call)
      }
    }
  }

  private func post(_ call: HubCall) async throws(ActivationFailure) -> Posted {
    do {
      return .comment(id: try await HubRetry(services: services).run { try await call.make(at: services.hub) })
    } catch is CancellationError {
      throw ActivationFailure.cancelled
    } catch {
      guard case .taken(let how) = DeliveryAnswer(error, of: .comment) else { throw .hub(call.kind.failure, error) }
      if how == .earlier { return .earlier }
      services.logger.warning(
        "answer posted, the Hub's reply is unreadable", metadata: metadata.merging(["error": "\(error)"]) { $1 })
      return .comment(id: nil)
    }
  }

  private func telling(_ call: HubCall) async {
    do {
      try await HubRetry(services: services).run { _ = try await call.make(at: services.hub) }
    } catch {
      undelivered(call, error)
    }
  }

  private func undelivered(_ call: HubCall, _ error: any Error) {
    services.metrics.increment("botburrow_reports_failed_total", [("report", call.kind.rawValue)])
    services.logger.warning(
      "report not delivered",
      metadata: metadata.merging(["report": "\(call.kind.rawValue)", "error": "\(error)"]) { $1 })
  }
}
