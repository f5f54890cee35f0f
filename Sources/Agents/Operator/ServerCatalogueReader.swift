import Addresses
import YAML

extension ServerEntry {
  /// Reads `config/mcp-servers.yaml`: its servers by name. `${NAME}` in it is a secret of that server's file, never a variable
  /// of our environment.
  /// - Parameter file: how errors name the file.
  public static func read(
    _ bytes: some Sequence<UInt8>, file: String
  ) throws(YAMLErrors) -> [String: ServerEntry] {
    try YAML.read(bytes, file: file) { root in
      var servers: [String: ServerEntry] = [:]
      root.mapping("servers") { reader in
        for name in reader.keys where !name.hasPrefix("x-") {
          guard AgentDefinition.isName(name), name.utf8.count <= 50 else {
            _ = reader.node(name)
            reader.report(name, "'\(name)' can't be a server's name; it has lower-case letters, digits and hyphens")
            continue
          }
          if name == "hub" || name == "model" {
            reader.report(name, "'\(name)' is built in; give this server another name")
          }
          servers[name] = reader.mapping(name) { read($0, name: name) }
        }
      }
      return servers
    }
  }

  private static func read(_ reader: MappingReader, name: String) -> ServerEntry {
    var entry = ServerEntry(name: name, place: readPlace(reader, name: name))
    entry.description = reader.optional("description", .string)
    entry.hosts = reader.hostRules("hosts")
    entry.privateAddresses = reader.addressBlocks("private_addresses")
    reportUnreachable(entry, reader)
    if reader.node("grants") != nil { entry.grants = reader.value("grants", .list(of: .grant), default: []) }
    entry.tools = reader.needs("tools")
    entry.startTimeout = reader.value(
      "start_timeout", .duration(in: .seconds(1) ... .seconds(600)), default: entry.startTimeout)
    entry.callTimeout = reader.value(
      "call_timeout", .duration(in: .milliseconds(100) ... .seconds(3600)), default: entry.callTimeout)
    entry.resultLimit = reader.value("max_result", .byteSize(in: 1024...(64 << 20)), default: entry.resultLimit)
    entry.profile = reader.optional("profile", .skillName)
    return entry
  }

  private static func readPlace(_ reader: MappingReader, name: String) -> Place {
    let command = reader.optional("command", .nonEmptyString)
    let arguments = reader.value("args", .stringList, default: [])
    let environment = reader.secretTexts("env")
    let url = reader.optional("url", .nonEmptyString)
    let headers = reader.secretTexts("headers")
    if command != nil && url != nil {
      reader.report(
        "url", "'\(name)' has both 'command' and 'url'; it is either a program or a server that is there already")
    }
    if let url {
      guard url.hasPrefix("http://") || url.hasPrefix("https://") else {
        reader.report("url", "'url' must begin with http:// or https://")
        return .url(url, headers: headers)
      }
      for (key, isThere) in [("args", !arguments.isEmpty), ("env", !environment.isEmpty)] where isThere {
        reader.report(key, "'\(key)' is for programs; '\(name)' is a URL, which takes 'headers'")
      }
      if reader.node("hosts") != nil {
        reader.report("hosts", "'hosts' is for programs; what '\(name)' reaches is not this host's to decide")
      }
      return .url(url, headers: headers)
    }
    if command == nil { reader.report("command", "'\(name)' has neither 'command' nor 'url'; give one of them") }
    if !headers.isEmpty { reader.report("headers", "'headers' is for URLs; a program takes 'env'") }
    for argument in arguments where argument.contains("${") {
      reader.report(
        "args", "'args' holds '\(argument)', but arguments are seen by everybody on this host; secrets go into 'env'")
    }
    for variable in environment.keys where !SecretText.isName(variable) {
      reader.report("env", "'\(variable)' can't be the name of an environment variable")
    }
    return .program(command: command ?? "", arguments: arguments, environment: environment)
  }

  /// A host that is written as an address that nothing lets through would only fail later.
  private static func reportUnreachable(_ entry: ServerEntry, _ reader: MappingReader) {
    for rule in entry.hosts {
      guard case .address(let address) = rule.host else { continue }
      let kind = AddressClass(address)
      if kind != .publicHost, !entry.privateAddresses.contains(where: { $0.contains(address) }) {
        reader.report(
          "hosts", "\(rule) is a \(kind.rawValue) address, which is refused unless 'private_addresses' lists it too")
      }
    }
    if !entry.privateAddresses.isEmpty, entry.hosts.isEmpty {
      reader.report("private_addresses", "'private_addresses' opens nothing without 'hosts'; name host and port there")
    }
  }
}

/// Values that the file has in lists and mappings, each wrong one told with its place.
extension MappingReader {
  fileprivate func hostRules(_ key: String) -> [HostRule] {
    texts(key) { text, position in
      guard let rule = HostRule(text) else {
        report(
          at: position, "'\(text)' in '\(key)' must be HOST:PORT such as api.github.com:443, *.example.com:443 or *:443"
        )
        return nil
      }
      return rule
    }
  }

  fileprivate func addressBlocks(_ key: String) -> [AddressBlock] {
    texts(key) { text, position in
      guard let block = AddressBlock(text) else {
        report(at: position, "'\(text)' in '\(key)' must be an address, or a block such as 10.1.0.0/16")
        return nil
      }
      return block
    }
  }

  private func texts<Value>(_ key: String, _ read: (String, YAMLPosition) -> Value?) -> [Value] {
    elements(key) { node in
      guard let text = node.text else {
        report(at: node.position, "'\(key)' must be a list of texts")
        return nil
      }
      return read(text, node.position)
    }
  }

  fileprivate func secretTexts(_ key: String) -> [String: SecretText] {
    var texts: [String: SecretText] = [:]
    for entry in members(key) {
      guard case .scalar(let source, _) = entry.value.value else {
        report(at: entry.value.position, "'\(entry.key)' in '\(key)' must be text")
        continue
      }
      guard let text = SecretText(entry.value.isNull ? "" : source) else {
        report(
          at: entry.value.position,
          "'\(entry.key)' in '\(key)' has a '${' that isn't ${NAME}; write $$ for a dollar sign")
        continue
      }
      texts[entry.key] = text
    }
    return texts
  }

  /// One grant, a list of them, or `none`.
  fileprivate func needs(_ key: String) -> [String: ServerEntry.Need] {
    var needs: [String: ServerEntry.Need] = [:]
    for entry in members(key) {
      if entry.key.dropLast().contains("*") {
        report(
          at: entry.position, "'\(entry.key)' in '\(key)' has a '*' before its end; give the beginning of a name alone")
      }
      if entry.value.text == "none" {
        needs[entry.key] = .never
        continue
      }
      let nodes = entry.value.elements ?? [entry.value]
      let grants = nodes.compactMap { node -> Grant? in
        let grant = node.text.flatMap { Grant(parsing: $0) }
        if grant == nil {
          report(
            at: node.position,
            "'\(entry.key)' in '\(key)' must be a grant (service:permission), a list of grants, or none")
        }
        return grant
      }
      if nodes.isEmpty {
        report(at: entry.value.position, "'\(entry.key)' in '\(key)' has no grant; write none to hide the tool")
      }
      needs[entry.key] = .grants(grants)
    }
    return needs
  }

  private func members(_ key: String) -> [YAMLNode.Entry] {
    guard let node = node(key) else { return [] }
    guard let entries = node.entries else {
      report(key, "'\(key)' must be a mapping")
      return []
    }
    return entries
  }
}
