import Configuration

/// The model gateway as the agent reaches it. `ExecutorContext.gatewayToken` is the key: the gateway takes it as
/// `Authorization: Bearer …` and as `x-api-key`, and puts the operator's key in its place.
public struct ModelAccess: Sendable, Hashable {
  /// Inside the sandbox, without a path: `http://198.18.0.1:8000`.
  public var url: String
  /// What the agent's provider speaks; requests in another dialect are answered 404.
  public var dialects: Set<ModelDialect>
  /// Tokens of the whole activation, input and output together; nil for no limit.
  public var maxTokens: Int?

  /// A gateway at a URL.
  public init(url: String, dialects: Set<ModelDialect>, maxTokens: Int? = 100_000) {
    self.url = url
    self.dialects = dialects
    self.maxTokens = maxTokens
  }
}
