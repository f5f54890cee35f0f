import Configuration
import JSON
import Testing

@testable import ModelGateway

@Suite struct RequestTests {
  func request(_ text: String, _ dialect: ModelDialect = .anthropic) throws -> ModelRequest {
    try ModelRequest(dialect, Array(text.utf8))
  }

  @Test func whatIsWantedIsFoundAndTheRestIsLeft() throws {
    let text =
      #"{"messages":[{"content":"\"model\":\"x\" } ]","model":"y"}], "mod\u0065l" : "m", "stream":true,"max_tokens": 100}"#
    let read = try request(text)
    #expect(read.model == "m")
    #expect(read.streams)
    #expect(read.maxOutput == 100)
    #expect(read.upstreamBody(maxOutput: nil) == Array(text.utf8))
    let lowered = try JSONValue(parsing: read.upstreamBody(maxOutput: 7))
    #expect(lowered["max_tokens"] == 7)
    #expect(lowered["messages"]?.array?.first?["model"] == "y")
  }

  @Test(arguments: [
    (#"{"model":"a","model":"b"}"#, "the key 'model' comes twice"),
    (#"{"model":"a","Model":"b"}"#, "the key 'Model' is written otherwise than 'model'"),
    (#"{"model":"a","m\u006fdel":"b"}"#, "the key 'model' comes twice"),
    (#"{"model":"a"} x"#, "the body is not a JSON object (byte 15)"),
    (#"{"model":"a","#, "the body is not a JSON object (byte 14)"),
    (#"["model"]"#, "the body is not a JSON object (byte 1)"),
    (#"{"stream":true}"#, "'model' is missing or not a text"),
    (#"{"model":"a","stream":"yes"}"#, "'stream' is not true or false"),
    (#"{"model":"a","max_tokens":-1}"#, "'max_tokens' is not a count of tokens"),
    (#"{"model":"a","background":true}"#, "'background' is not served here; ask without it"),
    (#"{"model":"a","n":2}"#, "'n' above 1 is not served here; ask once for each answer"),
    (#"{"model":"a","n":"2"}"#, "'n' above 1 is not served here; ask once for each answer"),
    (#"{"model":"a","ſtream":true}"#, "the key 'ſtream' is written otherwise than 'stream'"),
  ])
  func whatTwoReadersCouldTakeDifferentlyIsRefused(_ text: String, _ sentence: String) {
    #expect(throws: SkimError(description: sentence)) { try request(text) }
  }

  @Test func aChatStreamIsAskedForItsCounts() throws {
    let plain = try request(#"{"model":"a","stream":true}"#, .openAIChat)
    #expect(plain.needsCounts)
    #expect(
      String(decoding: plain.upstreamBody(maxOutput: nil), as: UTF8.self)
        == #"{"stream_options":{"include_usage":true},"model":"a","stream":true}"#)
    let refusing = try request(
      #"{"model":"a","stream":true,"stream_options":{"include_usage":false,"x":1},"max_tokens":9}"#, .openAIChat)
    #expect(
      String(decoding: refusing.upstreamBody(maxOutput: 3), as: UTF8.self)
        == #"{"model":"a","stream":true,"stream_options":{"include_usage":true,"x":1},"max_tokens":3}"#)
    let asking = try request(
      #"{"model":"a","stream":true,"stream_options":{"include_usage":true}}"#, .openAIChat)
    #expect(!asking.needsCounts)
    #expect(!(try request(#"{"model":"a"}"#, .openAIChat)).needsCounts)
  }

  @Test func ofTwoLimitsTheLargerCountsAndBothAreLowered() throws {
    let both = try request(#"{"model":"a","max_completion_tokens":1,"max_tokens":100000}"#, .openAIChat)
    #expect(both.maxOutput == 100_000)
    let lowered = try JSONValue(parsing: both.upstreamBody(maxOutput: 500))
    #expect(lowered["max_tokens"] == 500 && lowered["max_completion_tokens"] == 1)
  }

  @Test func urlsKeepTheirQuery() {
    let messages = ModelRoute(method: "POST", path: "/v1/messages")
    #expect(messages?.url(base: "http://h", query: "beta=true") == "http://h/v1/messages?beta=true")
    #expect(messages?.url(base: "http://h/v1", query: "") == "http://h/v1/messages")
    #expect(
      ModelRoute.call(.openAIResponses).url(base: "https://h/v1", query: "") == "https://h/v1/responses")
    #expect(ModelRoute(method: "GET", path: "/v1/messages") == nil)
    #expect(ModelRoute(method: "POST", path: "/v1/files") == nil)
  }

  @Test func theAgentsKeyStaysAndTheOperatorsGoes() {
    let headers = PassingHeaders.upstream(
      [
        ("X-Api-Key", "token"), ("Authorization", "Bearer token"), ("anthropic-beta", "a,b"), ("Cookie", "c"),
        ("OpenAI-Organization", "o"), ("Accept-Encoding", "gzip"),
      ], .anthropic, key: "real")
    #expect(!headers.contains { $0.value.contains("token") })
    #expect(headers.contains { $0 == ("anthropic-beta", "a,b") })
    #expect(headers.contains { $0 == ("x-api-key", "real") })
    #expect(headers.contains { $0 == ("Accept-Encoding", "identity") })
    #expect(!headers.contains { ["cookie", "openai-organization"].contains($0.name.lowercased()) })
    let openAI = PassingHeaders.upstream([("x-api-key", "token")], .openAIChat, key: "real")
    #expect(openAI.contains { $0 == ("Authorization", "Bearer real") })
  }
}
