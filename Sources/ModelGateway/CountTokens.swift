import HTTPClient
import HTTPServer

extension ModelCall {
  /// `count_tokens`: asks the provider, reserves and counts nothing, as it costs nothing.
  func count() async throws -> ServerResponse {
    guard session.choice.permits(model.model) else {
      return answered(.refused, Denial.unknownModel(model.model).response(model.dialect))
    }
    guard session.enter() else { return answered(.refused, Denial.tooMany.response(model.dialect)) }
    defer { session.leave() }
    let provider = session.choice.provider
    let pass: CircuitBreaker.Pass
    switch providers.enter(provider) {
    case .denied(let denial): return answered(.refused, denial.response(model.dialect))
    case .admitted(let given): pass = given
    }
    var success: Bool?
    defer { providers.leave(provider, pass, success: success) }
    do {
      let answer = try await providers.client.send(
        HTTPRequest(
          method: "POST", url: route.url(base: provider.apiBase, query: request.rawQuery),
          headers: PassingHeaders.upstream(request.headers, model.dialect, key: session.choice.key),
          body: request.body, timeout: .seconds(60)))
      success = answer.status < 500
      let isGood = answer.status < 400
      if Denial.ofOperator.contains(answer.status) {
        return answered(.upstream, Denial.operatorsFault(status: answer.status).response(model.dialect))
      }
      return answered(
        isGood ? .ok : .upstream,
        ServerResponse(
          status: answer.status, headers: PassingHeaders.downstream(answer.headers), body: answer.body))
    } catch is HTTPClientError {
      success = false
      return answered(.unreachable, Denial.unreachable.response(model.dialect))
    } catch {
      // Its client went away.
      providers.audit.write(record(.cancelled, status: 0))
      throw error
    }
  }

  /// Writes the record. The session keeps none: whether tokens could be counted is no matter of the activation's end.
  private func answered(_ outcome: ModelCallRecord.Outcome, _ response: ServerResponse) -> ServerResponse {
    providers.audit.write(record(outcome, status: response.status))
    return response
  }
}
