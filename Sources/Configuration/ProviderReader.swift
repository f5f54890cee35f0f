import YAML

extension Configuration {
  /// Reads `providers`: names of the operator's choice, of which four have defaults.
  /// - Parameter environment: where credentials are; nil where no file with a key is to be opened.
  static func readProviders(
    _ reader: MappingReader, _ environment: [String: String]?
  ) -> [String: ModelProvider] {
    var providers: [String: ModelProvider] = [:]
    for name in reader.keys where !name.hasPrefix("x-") {
      reader.mapping(name) { providers[name] = readProvider($0, name, environment) }
    }
    return providers
  }

  private static func readProvider(
    _ reader: MappingReader, _ name: String, _ environment: [String: String]?
  ) -> ModelProvider {
    let usual = usualPlace(name)
    let base: String
    if let usual {
      base = reader.value("api_base", .providerURL, default: usual.base)
    } else {
      base = reader.required("api_base", .providerURL)
    }
    let dialects = reader.value(
      "dialects", .list(of: .oneOf(ModelDialect.self, else: .anthropic)), default: usual?.dialects ?? [.openAIChat])
    if dialects.isEmpty { reader.report("dialects", "'dialects' of provider '\(name)' is empty") }
    var provider = ModelProvider(name: name, apiBase: base, dialects: Set(dialects))
    provider.key = readSecret("key", of: "provider '\(name)'", reader, environment)
    provider.keys = reader.value("keys", .dictionary(of: .nonEmptyString), default: [:])
    provider.models = reader.value("models", .list(of: .nonEmptyString), default: [])
    provider.sideModels = reader.value("side_models", .list(of: .nonEmptyString), default: [])
    provider.maxConcurrent = reader.value("max_concurrent", .int(in: 1...10_000), default: provider.maxConcurrent)
    provider.timeout = reader.value(
      "timeout", .duration(in: .seconds(1) ... .seconds(7200)), default: provider.timeout)
    provider.retries = reader.value("retries", .int(in: 0...10), default: provider.retries)
    provider.prices = reader.mapping("prices", readPrices) ?? [:]
    return provider
  }

  private static func readPrices(_ reader: MappingReader) -> [String: ModelPrice] {
    var prices: [String: ModelPrice] = [:]
    let dollars = YAMLKind<Double>.double(in: 0...1_000_000)
    for model in reader.keys where !model.hasPrefix("x-") {
      reader.mapping(model) { reader in
        prices[model] = ModelPrice(
          input: reader.required("input", dollars), output: reader.required("output", dollars),
          cacheRead: reader.optional("cache_read", dollars), cacheWrite: reader.optional("cache_write", dollars))
      }
    }
    return prices
  }

  /// Where a well-known provider is, and what it speaks.
  private static func usualPlace(_ name: String) -> (base: String, dialects: [ModelDialect])? {
    switch name {
    case "anthropic": ("https://api.anthropic.com", [.anthropic])
    case "openai": ("https://api.openai.com/v1", [.openAIChat, .openAIResponses])
    // https://ai.google.dev/gemini-api/docs/openai
    case "google": ("https://generativelanguage.googleapis.com/v1beta/openai", [.openAIChat])
    default: nil
    }
  }
}

extension YAMLKind where Value == String {
  /// `http://…` or `https://…` without a query; a slash at the end is taken off.
  fileprivate static var providerURL: YAMLKind<String> {
    YAMLKind.nonEmptyString.map(placeholder: "http://") { text throws(YAMLMismatch) in
      let lower = text.lowercased()
      guard let scheme = ["http://", "https://"].first(where: { lower.hasPrefix($0) }), text.count > scheme.count,
        !text.contains(where: { $0.isWhitespace || $0 == "?" || $0 == "#" || $0 == "@" })
      else { throw YAMLMismatch("must be an http:// or https:// URL without a query or a password") }
      return String(text.hasSuffix("/") ? text.dropLast() : text[...])
    }
  }
}
