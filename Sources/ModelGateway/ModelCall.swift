import Configuration
import EventStream
import HTTPClient
import HTTPServer
import JSONText
import Synchronization

/// Carries out one call of a model, from the checked request to its record.
struct ModelCall: Sendable {
  let session: ModelSession
  let providers: ModelProviders
  let request: ServerRequest
  let model: ModelRequest
  let route: ModelRoute
  let started: ContinuousClock.Instant

  private var provider: ModelProvider { session.choice.provider }

  /// What a whole answer may have.
  static let answerLimit = 64 << 20

  func perform() async throws -> ServerResponse {
    guard session.choice.permits(model.model) else { return refuse(.unknownModel(model.model), .refused) }
    guard session.enter() else { return refuse(.tooMany, .refused) }
    let admission = session.admit(
      requestBytes: request.body.count, output: model.maxOutput, floor: model.thinkingBudget.map { $0 + 1 } ?? 0)
    guard case .admitted(let reservation, let maxOutput) = admission else {
      session.leave()
      return refuse(admission == .broke ? .broke : .exhausted, .budget)
    }
    let pass: CircuitBreaker.Pass
    switch providers.enter(provider) {
    case .admitted(let given): pass = given
    case .denied(let denial):
      session.settle(record(.cancelled, status: 0), reservation: reservation)
      session.leave()
      if case .resting = denial { return refuse(denial, .resting) }
      return refuse(denial, .refused)
    }
    let open = OpenCall(call: self, reservation: reservation, pass: pass)
    do {
      return try await ask(open, body: model.upstreamBody(maxOutput: maxOutput))
    } catch {
      open.close(Self.isCancelled(error) ? .cancelled : .unreachable, status: 502)
      if Self.isCancelled(error) { throw error }
      return Denial.unreachable.response(model.dialect)
    }
  }

  // MARK: Asking

  private func ask(_ open: OpenCall, body: [UInt8]) async throws -> ServerResponse {
    let answer = try await attempt(open, body: body)
    open.firstByte = milliseconds
    guard SSEParser.reads(answer.header("content-type")), answer.status == 200 else {
      return try await whole(answer, open)
    }
    let headers = PassingHeaders.downstream(answer.headers)
    let (dialect, drops) = (model.dialect, model.needsCounts)
    return ServerResponse(status: 200, headers: headers) { writer in
      try await relay(answer.body, to: writer, StreamMeter(dialect, dropsCounts: drops), open)
    }
  }

  /// Asks until there is an answer that is worth passing on.
  private func attempt(_ open: OpenCall, body: [UInt8]) async throws -> HTTPStreamedResponse {
    let sent = HTTPRequest(
      method: "POST", url: route.url(base: provider.apiBase, query: request.rawQuery),
      headers: PassingHeaders.upstream(request.headers, model.dialect, key: session.choice.key), body: body,
      timeout: provider.timeout)
    var attempt = 0
    while true {
      let wait: Duration
      do {
        let answer = try await providers.client.stream(sent)
        let end = RetryRule.End.status(
          answer.status, retryAfter: Self.retryAfter(answer),
          shouldRetry: answer.header("x-should-retry").map { $0 == "true" })
        guard let next = RetryRule.wait(after: end, attempt: attempt, limit: provider.retries) else { return answer }
        answer.body.cancel()
        wait = next
      } catch let error as HTTPClientError where error.isBeforeRequest {
        guard let next = RetryRule.wait(after: .unreachable, attempt: attempt, limit: provider.retries) else {
          throw error
        }
        wait = next
      }
      attempt += 1
      open.retries = attempt
      try await providers.sleep(wait)
    }
  }

  // MARK: Passing on

  private func whole(_ answer: HTTPStreamedResponse, _ open: OpenCall) async throws -> ServerResponse {
    var body: [UInt8] = []
    do {
      while let bytes = try await answer.body.next() {
        body += bytes
        guard body.count <= Self.answerLimit else { throw AnswerTooLarge() }
      }
    } catch {
      answer.body.cancel()
      guard !Self.isCancelled(error) else { throw error }
      // Half of a JSON text is nothing that anybody could use.
      open.responseBytes = body.count
      open.close(.cut, status: 502, meter: answer.status == 200 ? meter(whole: body) : nil)
      return Denial.unreachable.response(model.dialect)
    }
    open.responseBytes = body.count
    open.retryAfter = Self.retryAfter(answer)
    guard answer.status < 400 else {
      open.close(.upstream, status: answer.status)
      if Denial.ofOperator.contains(answer.status) {
        return Denial.operatorsFault(status: answer.status).response(model.dialect)
      }
      return ServerResponse(
        status: answer.status, headers: PassingHeaders.downstream(answer.headers), body: body)
    }
    open.close(.ok, status: answer.status, meter: meter(whole: body))
    return ServerResponse(status: answer.status, headers: PassingHeaders.downstream(answer.headers), body: body)
  }

  private func meter(whole body: [UInt8]) -> UsageMeter {
    var meter = UsageMeter(model.dialect)
    meter.take(whole: body)
    return meter
  }

  private func relay(
    _ body: HTTPBody, to writer: ServerResponseWriter, _ meter: StreamMeter, _ open: OpenCall
  ) async throws {
    var meter = meter
    do {
      while let bytes = try await next(body) {
        open.responseBytes += bytes.count
        let passed = meter.pass(bytes)
        if !passed.isEmpty { try await writer.write(passed) }
      }
      let rest = meter.end()
      if !rest.isEmpty { try await writer.write(rest) }
    } catch {
      body.cancel()
      // Some clients hang up once they have the last word, before the stream's own end: nothing was cancelled then.
      let hasAll = meter.meter.isComplete && meter.meter.failure == nil
      let outcome: ModelCallRecord.Outcome = error is UpstreamCut ? .cut : hasAll ? .ok : .cancelled
      open.close(outcome, status: 200, meter: meter.meter)
      // Throwing cuts the agent's connection too: it must not take the answer for whole.
      throw error
    }
    if let failure = meter.meter.failure {
      open.close(.upstream, status: Self.status(of: failure), meter: meter.meter)
    } else if !meter.meter.isComplete, model.dialect != .openAIChat {
      // Both other dialects say when they are done.
      open.close(.cut, status: 200, meter: meter.meter)
    } else {
      open.close(.ok, status: 200, meter: meter.meter)
    }
  }

  private func next(_ body: HTTPBody) async throws -> [UInt8]? {
    do {
      return try await body.next()
    } catch is HTTPClientError {
      throw UpstreamCut()
    }
  }

  private struct UpstreamCut: Error {}
  private struct AnswerTooLarge: Error {}

  // MARK: Records

  private var milliseconds: Double { started.duration(to: .now) / .milliseconds(1) }

  func record(
    _ outcome: ModelCallRecord.Outcome, status: Int, usage: ModelUsage = ModelUsage()
  ) -> ModelCallRecord {
    var record = ModelCallRecord(
      activationID: session.activationID, agentID: session.agentID, provider: provider.name, model: model.model,
      path: request.path, outcome: outcome, status: status, usage: usage, requestBytes: request.body.count)
    record.milliseconds = milliseconds
    return record
  }

  private func refuse(_ denial: Denial, _ outcome: ModelCallRecord.Outcome) -> ServerResponse {
    var record = record(outcome, status: denial.status(model.dialect))
    record.isAgentsBudget = denial == .broke
    if case .resting(let seconds) = denial { record.retryAfter = Double(seconds) }
    session.refuse(record)
    providers.audit.write(record)
    return denial.response(model.dialect)
  }

  private static func isCancelled(_ error: any Error) -> Bool { error is CancellationError }

  /// Seconds, or a date (which is left to the client: clocks differ).
  private static func retryAfter(_ answer: HTTPStreamedResponse) -> Duration? {
    if let text = answer.header("retry-after-ms"), let value = Double(text), (0...86_400_000).contains(value) {
      return .seconds(value / 1000)
    }
    guard let text = answer.header("retry-after"), let value = Double(text), (0...86_400).contains(value) else {
      return nil
    }
    return .seconds(value)
  }

  /// The status that an error in a stream stands for.
  static func status(of type: String) -> Int {
    switch type {
    case "overloaded_error", "overloaded": 529
    case "rate_limit_error", "rate_limit_exceeded": 429
    case "authentication_error", "invalid_api_key": 401
    case "billing_error", "insufficient_quota": 402
    case "permission_error": 403
    case "invalid_request_error": 400
    default: 500
    }
  }
}

/// A call that has its places and its reservation, until it is closed. One task touches it at a time.
///
/// `@unchecked`: the fields belong to the call's own task; `isClosed` alone may be reached by two ends at once.
final class OpenCall: @unchecked Sendable {
  private let call: ModelCall
  private let reservation: Int
  private let pass: CircuitBreaker.Pass
  private let isClosed = Atomic(false)
  var firstByte: Double?
  var responseBytes = 0
  var retries = 0
  var retryAfter: Duration?

  init(call: ModelCall, reservation: Int, pass: CircuitBreaker.Pass) {
    self.call = call
    self.reservation = reservation
    self.pass = pass
  }

  /// Gives everything back and writes the record. Only the first time counts.
  func close(_ outcome: ModelCallRecord.Outcome, status: Int, meter: UsageMeter? = nil) {
    guard isClosed.compareExchange(expected: false, desired: true, ordering: .acquiringAndReleasing).exchanged else {
      return
    }
    let session = call.session
    var record = call.record(outcome, status: status)
    if let meter {
      let (usage, isEstimate) = meter.settled(requestBytes: call.request.body.count)
      record.usage = usage
      record.isEstimate = isEstimate
      record.costUSD = session.choice.provider.price(of: call.model.model).map { usage.cost($0) } ?? 0
    }
    record.firstByteMilliseconds = firstByte
    record.responseBytes = responseBytes
    record.retries = retries
    record.retryAfter = retryAfter.map { $0 / .seconds(1) }
    session.settle(record, reservation: reservation)
    session.leave()
    call.providers.leave(session.choice.provider, pass, success: Self.verdict(outcome, status))
    call.providers.audit.write(record)
  }

  /// What an end tells of the provider's health: a busy one (429) is alive.
  private static func verdict(_ outcome: ModelCallRecord.Outcome, _ status: Int) -> Bool? {
    switch outcome {
    case .ok: true
    case .upstream: status < 500
    case .cut, .unreachable: false
    case .budget, .refused, .resting, .cancelled: nil
    }
  }
}

extension HTTPClientError {
  /// The provider has seen nothing of the request (libcurl-errors(3)): CURLE_COULDNT_RESOLVE_HOST, CURLE_COULDNT_CONNECT.
  var isBeforeRequest: Bool { code == 6 || code == 7 }
}
