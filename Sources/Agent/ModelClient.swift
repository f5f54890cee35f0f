import AgentLoop
import EventStream
import JSONText

/// Calls the model through the gateway: one streamed answer, whole, or why there is none.
struct ModelClient {
  let brief: LoopBrief
  let token: String

  func ask(_ request: ModelRequest, deadline: Double) -> AgentLoop.Event {
    do throws(ModelFailure) { return .answered(try answer(request, deadline)) } catch { return .failed(error) }
  }

  private func answer(_ request: ModelRequest, _ deadline: Double) throws(ModelFailure) -> ModelAnswer {
    let form = brief.dialect.form
    var base = brief.modelURL
    while base.hasSuffix("/") { base.removeLast() }
    guard let target = HTTPTarget(base + form.path) else {
      throw ModelFailure(.final, "the model gateway's URL '\(brief.modelURL)' is not http:// with an IPv4 address")
    }
    let exchange = Exchange(
      target: target,
      headers: form.headers + [
        ("Content-Type", "application/json"), ("Accept", "text/event-stream"), ("Authorization", "Bearer \(token)"),
      ], body: Array(form.body(request, brief).compactText.utf8), deadline: deadline, bodyLimit: 32 << 20)
    var stream = SSEParser()
    var dialect = form.init()
    var (isWhole, failure) = (false, ModelFailure?.none)
    var (status, headers, refusal) = (0, [String: String](), [UInt8]())
    do throws(ExchangeError) {
      try exchange.run { reader, piece in
        (status, headers) = (reader.status, reader.headers)
        guard status == 200 else {
          refusal += piece
          return refusal.count < 1 << 20
        }
        do throws(ModelFailure) {
          for event in stream.feed(piece) where !isWhole { isWhole = try dialect.take(event) }
        } catch { failure = error }
        return !isWhole && failure == nil
      }
    } catch {
      throw failure ?? ModelFailure(.passing(retryAfter: nil), "the model gateway at \(error)")
    }
    if let failure { throw failure }
    guard status == 200 else {
      throw ModelStatus.failure(
        status: status, body: refusal, shouldRetry: headers["x-should-retry"], retryAfter: headers["retry-after"])
    }
    guard isWhole || dialect.isWhole else {
      throw ModelFailure(.passing(retryAfter: nil), "the model's stream ended before the answer was whole")
    }
    return dialect.answer
  }
}
