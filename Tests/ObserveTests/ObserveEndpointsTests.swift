import HTTPServer
import Observe
import Testing

@Suite struct ObserveEndpointsTests {
  private func answer(_ method: String, _ path: String, notReady: String? = nil) async throws -> (Int, String) {
    let metrics = Metrics()
    let endpoints = ObserveEndpoints(
      metrics: metrics, collect: { $0.set("botburrow_runner_queue_depth", [("pool", "hybrid")], to: 7) },
      notReady: { notReady })
    let response = try await endpoints.handler(ServerRequest(method: method, path: path))
    return (response.status, String(decoding: response.body, as: UTF8.self))
  }

  @Test func tellsWhetherTheDaemonLivesAndWorks() async throws {
    #expect(try await answer("GET", "/healthz") == (200, "alive\n"))
    #expect(try await answer("GET", "/readyz") == (200, "ready\n"))
    #expect(
      try await answer("GET", "/readyz", notReady: "Redis does not answer; start it") == (
        503, "Redis does not answer; start it\n"
      ))
    #expect(try await answer("GET", "/metrics").1.contains(#"botburrow_runner_queue_depth{pool="hybrid"} 7"#))
    #expect(
      try await answer("POST", "/metrics") == (
        405, #"{"error":{"code":"method_not_allowed","message":"/metrics takes GET, HEAD, not POST"}}"#
      ))
    #expect(try await answer("GET", "/x").0 == 404)
  }
}
