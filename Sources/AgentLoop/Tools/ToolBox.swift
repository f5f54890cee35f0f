import JSONText

/// All tools of an activation under names that every provider takes. Pure.
public struct ToolBox: Sendable {
  /// Where a tool is.
  public enum Place: Sendable, Hashable {
    case own(OwnTool)
    /// The server, and its name for the tool.
    case server(LoopBrief.Server, tool: String)
  }
  /// As the model is told of them, the own ones first.
  public private(set) var definitions: [ToolDefinition]
  private var places: [String: Place]

  /// The loop's own tools.
  public init(_ shell: LoopBrief.Shell) {
    definitions = OwnTool.all(shell).map { $0.definition(shell) }
    places = Dictionary(OwnTool.all(shell).map { ($0.rawValue, .own($0)) }) { first, _ in first }
  }

  /// Adds a server's tools as `mcp__<server>__<tool>`.
  public mutating func add(_ tools: [MCPTalk.ListedTool], of server: LoopBrief.Server) {
    for tool in tools {
      let name = freeName("mcp__\(server.name)__\(tool.name)")
      places[name] = .server(server, tool: tool.name)
      definitions.append(ToolDefinition(name: name, about: tool.about, schema: tool.schema))
    }
  }

  /// Where a tool is; nil: there is none of that name.
  public func place(_ name: String) -> Place? { places[name] }

  /// Providers take 64 letters, digits, `_` and `-`; two names that become one get a number.
  private func freeName(_ wanted: String) -> String {
    let plain = String(
      wanted.unicodeScalars.map { scalar -> Character in
        scalar.isASCII
          && (scalar.properties.isAlphabetic || scalar.properties.numericType != nil
            || "_-".unicodeScalars.contains(scalar))
          ? Character(scalar) : "_"
      })
    let name = String(plain.prefix(64))
    guard places[name] != nil else { return name }
    for number in 2... {
      let other = "\(plain.prefix(64 - "\(number)".count - 1))_\(number)"
      if places[other] == nil { return other }
    }
    return name
  }
}
