import Agents
import Configuration
import HTTPClient
import HTTPServer
import JSON
import ModelStandIn
import Synchronization

@testable import ModelGateway

/// A model gateway in front of a stand-in.
final class GatewayGround: Sendable {
  static let token = String(repeating: "0a", count: 32)
  let standIn: ModelStandIn
  let session: ModelSession
  let providers: ModelProviders
  let records: Records
  let url: String
  private let listener = ModelGatewayListener()
  private let client = HTTPClient()

  /// What was audited.
  final class Records: Sendable {
    let list = Mutex<[ModelCallRecord]>([])
    var all: [ModelCallRecord] { list.withLock { $0 } }
  }

  init(
    _ scenario: Scenario = Scenario([.init("Good morning to you")]), maxTokens: Int? = 100_000,
    base: String? = nil, dialects: Set<ModelDialect> = Set(ModelDialect.allCases), key: String = "stand-in-key",
    dollars: Double? = nil, change: (inout ModelProvider) -> Void = { _ in }
  ) async throws {
    standIn = try await ModelStandIn.start(scenario)
    var provider = ModelProvider(
      name: "stand-in", apiBase: base ?? standIn.url + "/v1", dialects: dialects, key: key)
    provider.prices = ["m": ModelPrice(input: 1, output: 10)]
    provider.sideModels = ["side-*"]
    change(&provider)
    let records = Records()
    self.records = records
    providers = ModelProviders(
      ["stand-in": provider], audit: ModelAudit { record in records.list.withLock { $0.append(record) } },
      sleep: { _ in })
    session = ModelSession(
      activationID: "a-1", agentID: "abc", token: Self.token,
      choice: ModelChoice(provider: provider, key: provider.key, model: "m", usualOutput: 4096),
      maxTokens: maxTokens, dollars: dollars)
    let port = try await listener.serve(session, providers, at: .tcp(host: "127.0.0.1", port: 0))
    url = "http://127.0.0.1:\(port)"
  }

  static let paths: [ModelDialect: String] = [
    .anthropic: "/v1/messages", .openAIChat: "/v1/chat/completions", .openAIResponses: "/v1/responses",
  ]

  static func body(_ dialect: ModelDialect, model: String = "m", streams: Bool = false) -> [String: JSONValue] {
    let key = dialect == .openAIResponses ? "input" : "messages"
    var body: [String: JSONValue] = [
      "model": .string(model), "stream": .bool(streams), key: [["role": "user", "content": "hi"]],
    ]
    if dialect == .anthropic { body["max_tokens"] = 1000 }
    return body
  }

  func send(
    _ dialect: ModelDialect = .anthropic, model: String = "m", streams: Bool = false, path: String? = nil,
    token: String = GatewayGround.token, bearer: Bool = false, change: (inout [String: JSONValue]) -> Void = { _ in }
  ) async throws -> HTTPResponse {
    var body = Self.body(dialect, model: model, streams: streams)
    change(&body)
    return try await client.send(
      HTTPRequest(
        method: "POST", url: url + (path ?? Self.paths[dialect] ?? ""),
        headers: [bearer ? ("Authorization", "Bearer \(token)") : ("x-api-key", token)],
        body: Array(JSONValue.object(body).compactText.utf8), timeout: .seconds(300)))
  }

  func stop() async {
    await listener.stop()
    await standIn.stop()
  }
}
