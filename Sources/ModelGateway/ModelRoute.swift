import Configuration

/// What is served, by method and path. Anything else is 404. Pure.
enum ModelRoute: Sendable, Hashable {
  /// Claude Code asks whether anybody is there.
  case hello
  case models
  /// A call of a model.
  case call(ModelDialect)
  /// Anthropic: how many tokens a request would have. Costs nothing.
  case countTokens

  init?(method: String, path: String) {
    switch (method, path) {
    case ("HEAD", "/api/hello"), ("GET", "/api/hello"): self = .hello
    case ("GET", "/v1/models"): self = .models
    case ("POST", "/v1/messages"): self = .call(.anthropic)
    case ("POST", "/v1/messages/count_tokens"): self = .countTokens
    case ("POST", "/v1/chat/completions"): self = .call(.openAIChat)
    case ("POST", "/v1/responses"): self = .call(.openAIResponses)
    default: return nil
    }
  }

  /// The form in which its errors are said.
  var dialect: ModelDialect {
    switch self {
    case .call(let dialect): dialect
    case .countTokens, .hello: .anthropic
    case .models: .openAIChat
    }
  }

  /// The whole URL at the provider. Anthropic's base is given with or without `/v1`, OpenAI's with its version.
  func url(base: String, query: String) -> String {
    var base = base
    if dialect == .anthropic, base.hasSuffix("/v1") { base.removeLast(3) }
    let path =
      switch self {
      case .call(.anthropic): "/v1/messages"
      case .countTokens: "/v1/messages/count_tokens"
      case .call(.openAIChat): "/chat/completions"
      case .call(.openAIResponses): "/responses"
      case .hello, .models: ""
      }
    return base + path + (query.isEmpty ? "" : "?\(query)")
  }
}

/// Which headers pass. Names that aren't listed stop here: neither the agent's credentials nor the operator's account
/// (organisation, limits) are the other side's to know.
enum PassingHeaders {
  /// From the agent to the provider, with the operator's key in the place of the agent's token.
  static func upstream(
    _ headers: [(name: String, value: String)], _ dialect: ModelDialect, key: String?
  ) -> [(name: String, value: String)] {
    var passing = headers.filter { header in
      let name = header.name.lowercased()
      return ["content-type", "accept", "user-agent", "openai-beta"].contains(name) || name.hasPrefix("anthropic-")
    }
    if dialect == .anthropic, !passing.contains(where: { $0.name.lowercased() == "anthropic-version" }) {
      passing.append(("anthropic-version", "2023-06-01"))
    }
    if !passing.contains(where: { $0.name.lowercased() == "content-type" }) {
      passing.append(("content-type", "application/json"))
    }
    // Counting reads plain text.
    passing.append(("Accept-Encoding", "identity"))
    if let key { passing.append(dialect == .anthropic ? ("x-api-key", key) : ("Authorization", "Bearer \(key)")) }
    return passing
  }

  /// From the provider to the agent.
  static func downstream(_ headers: [(name: String, value: String)]) -> [(name: String, value: String)] {
    headers.filter {
      [
        "content-type", "cache-control", "retry-after", "retry-after-ms", "request-id", "x-request-id",
        "x-should-retry",
      ].contains($0.name.lowercased()) && $0.value.utf8.allSatisfy { $0 >= 32 && $0 != 127 || $0 == 9 }
    }
  }
}
