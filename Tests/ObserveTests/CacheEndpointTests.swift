import HTTPServer
import Observe
import Synchronization
import Testing

@Suite struct CacheEndpointTests {
  private static let token = "0123456789abcdef-token"
  private struct Away: Error, CustomStringConvertible { let description = "Redis is away" }

  /// The answer, and which agents were invalidated; "" is all.
  private func answer(
    _ method: String = "POST", query: [(name: String, value: String)] = [], authorization: String? = "Bearer \(token)",
    token: String? = Self.token, fails: Bool = false, metrics: Metrics = Metrics()
  ) async throws -> (response: ServerResponse, body: String, told: [String]) {
    let told = Mutex<[String]>([])
    let cache = CacheEndpoint(
      token: token, metrics: metrics, isAgent: { $0 == "good-agent" },
      invalidate: { agent in
        if fails { throw Away() }
        told.withLock { $0.append(agent ?? "") }
        return 3
      })
    let response = try await ObserveEndpoints(metrics: metrics, cache: cache).handler(
      ServerRequest(
        method: method, path: "/api/v1/cache/invalidate", query: query,
        headers: authorization.map { [("authorization", $0)] } ?? []))
    return (response, String(decoding: response.body, as: UTF8.self), told.withLock { $0 })
  }

  @Test func tellsTheDaemonsAndHowManyTheyAre() async throws {
    let all = try await answer()
    #expect((all.response.status, all.told) == (200, [""]))
    #expect(all.body == #"{"daemons":3,"invalidated":"all"}"#)
    let one = try await answer(query: [("agent", "good-agent")])
    #expect((one.response.status, one.told) == (200, ["good-agent"]))
    #expect(one.body == #"{"daemons":3,"invalidated":"good-agent"}"#)
  }

  @Test(arguments: [nil, "", "Bearer", "Bearer wrong", "Bearer \(token)x", "Basic \(token)", token])
  func withoutTheTokenNothingHappens(authorization: String?) async throws {
    let metrics = Metrics()
    let refused = try await answer(authorization: authorization, metrics: metrics)
    #expect((refused.response.status, refused.told) == (401, []))
    #expect(refused.response.header("WWW-Authenticate") == #"Bearer realm="botburrow""#)
    #expect(!refused.body.contains(Self.token))
    #expect(metrics.exposition().contains(#"botburrow_cache_requests_total{status="401"} 1"#))
  }

  @Test func withoutAConfiguredTokenNobodyMay() async throws {
    let refused = try await answer(token: nil)
    #expect((refused.response.status, refused.told) == (403, []))
    #expect(refused.body.contains("give cache.token_file in the configuration"))
  }

  @Test(arguments: [
    [("agent", "Bad Agent")], [("agent", "")], [("agent", "good-agent"), ("agent", "good-agent")],
    [("agnet", "good-agent")],
  ]) func whatIsNoAgentIsRefused(query: [(String, String)]) async throws {
    let refused = try await answer(query: query.map { (name: $0.0, value: $0.1) })
    #expect((refused.response.status, refused.told) == (400, []))
  }

  @Test func otherMethodsAreNotAllowed() async throws {
    for method in ["GET", "HEAD", "DELETE"] {
      let refused = try await answer(method)
      #expect((refused.response.status, refused.told) == (405, []))
      #expect(refused.response.header("Allow") == "POST")
    }
  }

  @Test func whenTheDaemonsCannotBeToldItSaysWhy() async throws {
    let failed = try await answer(fails: true)
    #expect(failed.response.status == 503)
    #expect(failed.body == #"{"error":{"code":"unavailable","message":"Redis is away"}}"#)
  }

  @Test func whoServesNoCacheHasNoSuchPath() async throws {
    let request = ServerRequest(method: "POST", path: CacheEndpoint.path)
    #expect(try await ObserveEndpoints(metrics: Metrics()).handler(request).status == 404)
  }
}
