import Glibc
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
    provider.key = readKey(reader, name, environment)
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

  /// From `key`, from the file `key_file`, or from the systemd credential `credential` (systemd.exec(5), LoadCredential=).
  private static func readKey(_ reader: MappingReader, _ name: String, _ environment: [String: String]?) -> String? {
    let key = reader.optional("key", .nonEmptyString)
    let file = reader.optional("key_file", .nonEmptyString)
    let credential = reader.optional("credential", .nonEmptyString)
    guard [key, file, credential].compactMap({ $0 }).count <= 1 else {
      reader.report("key", "provider '\(name)' has more than one of 'key', 'key_file' and 'credential'; leave one")
      return nil
    }
    if let key { return key }
    guard let environment else { return file ?? credential }
    if let credential {
      guard let directory = environment["CREDENTIALS_DIRECTORY"] else {
        reader.report(
          "credential",
          "'credential' asks for a credential of systemd, but CREDENTIALS_DIRECTORY is not set; add LoadCredential= to the "
            + "unit, or use 'key_file'")
        return nil
      }
      guard !credential.contains("/"), credential != ".." else {
        reader.report("credential", "'credential' must be a name without '/'")
        return nil
      }
      return readKeyFile("\(directory)/\(credential)", reader, "credential")
    }
    return file.flatMap { readKeyFile($0, reader, "key_file") }
  }

  private static func readKeyFile(_ path: String, _ reader: MappingReader, _ key: String) -> String? {
    do throws(FileFailure) {
      let bytes = try readFile(path, limit: 16 << 10)
      let text = String(decoding: bytes, as: UTF8.self)
      // Files end with a line break; a key never has one.
      guard let word = text.split(whereSeparator: \.isWhitespace).first,
        text.split(whereSeparator: \.isWhitespace).count == 1
      else {
        reader.report(key, "'\(key)': \(path) must hold a key and nothing else")
        return nil
      }
      return String(word)
    } catch {
      reader.report(key, "'\(key)': \(path) can't be read: \(String(cString: strerror(error.code)))")
      return nil
    }
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
