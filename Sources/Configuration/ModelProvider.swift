/// A provider of models as the operator configured it, in `providers.NAME`.
public struct ModelProvider: Sendable, Hashable {
  /// What `brain.provider` of a definition names.
  public var name: String
  /// Where it is: `https://api.anthropic.com`, `https://api.openai.com/v1`. No slash at the end.
  public var apiBase: String
  /// What it speaks.
  public var dialects: Set<ModelDialect>
  /// Secret. Nil for a server that wants none.
  public var key: String?
  /// Secret: further keys, by the variable that a definition names in `brain.api_key_env`.
  public var keys: [String: String] = [:]
  /// Models that definitions may name; `*` at the end stands for any rest. Empty: any that a definition names.
  public var models: [String] = []
  /// Models that every agent of this provider may call beside its own.
  public var sideModels: [String] = []
  /// Calls under way at once, per runner.
  public var maxConcurrent = 256
  /// Limit on one call, from its first byte to its last.
  public var timeout: Duration = .seconds(900)
  /// So many times a call is made again that was not answered yet: refused, 429, 529 or 5xx.
  public var retries = 2
  /// By model; `*` at the end of a name stands for any rest.
  public var prices: [String: ModelPrice] = [:]

  /// A provider by name, place and dialects.
  public init(name: String, apiBase: String, dialects: Set<ModelDialect>, key: String? = nil) {
    self.name = name
    self.apiBase = apiBase
    self.dialects = dialects
    self.key = key
  }

  /// The environment variable that usually holds the key of a well-known provider: a definition that names it means `key`.
  public var usualVariable: String? {
    switch name {
    case "anthropic": "ANTHROPIC_API_KEY"
    case "openai": "OPENAI_API_KEY"
    case "google": "GOOGLE_API_KEY"
    default: nil
    }
  }

  /// Whether a definition may name this model.
  public func permits(_ model: String) -> Bool { models.isEmpty || models.contains { Self.matches(model, $0) } }

  /// The price of a model: of all patterns that fit, the longest counts.
  public func price(of model: String) -> ModelPrice? {
    prices.filter { Self.matches(model, $0.key) }.max { $0.key.utf8.count < $1.key.utf8.count }?.value
  }

  /// Whether a name fits a pattern: the same text, or one that begins like a pattern that ends in `*`.
  public static func matches(_ name: String, _ pattern: String) -> Bool {
    pattern.hasSuffix("*") ? name.hasPrefix(pattern.dropLast()) : name == pattern
  }
}

/// What a million tokens cost, in US dollars.
public struct ModelPrice: Sendable, Hashable {
  /// Input that no cache knew.
  public var input: Double
  /// Output.
  public var output: Double
  /// Input that was read from a cache.
  public var cacheRead: Double
  /// Input that was written to a cache.
  public var cacheWrite: Double
  /// Cached input costs the same as other input unless told.
  public init(input: Double, output: Double, cacheRead: Double? = nil, cacheWrite: Double? = nil) {
    self.input = input
    self.output = output
    self.cacheRead = cacheRead ?? input
    self.cacheWrite = cacheWrite ?? input
  }
}
