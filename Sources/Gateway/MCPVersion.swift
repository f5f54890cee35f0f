import FoundationEssentials
import JSON

/// The revisions of the Model Context Protocol that are spoken here, by their dates.
enum MCPVersion: String, Sendable, Hashable, CaseIterable {
  case v2025March = "2025-03-26"
  case v2025June = "2025-06-18"
  case v2025November = "2025-11-25"
  case v2026July = "2026-07-28"

  /// Newest first.
  static let all: [MCPVersion] = allCases.reversed()
  /// What `initialize` answers to a client that asks for something else.
  static let newestWithHandshake = MCPVersion.v2025November

  /// Stateless: no handshake, every request says everything (`_meta`, headers), results carry `resultType`.
  var isStateless: Bool { self == .v2026July }
  /// `structuredContent` and `title` came with 2025-06-18.
  var hasStructuredContent: Bool { self != .v2025March }
  /// Arrays of messages were part of 2025-03-26 alone.
  var hasBatches: Bool { self == .v2025March }
}

/// Where the 2026-07-28 revision puts what used to be negotiated once.
enum MCPMeta {
  static let version = "io.modelcontextprotocol/protocolVersion"
  static let clientCapabilities = "io.modelcontextprotocol/clientCapabilities"
  static let serverInfo = "io.modelcontextprotocol/serverInfo"
}

/// Decides which revision one message is written in. Pure: headers and body in, a revision or an error out.
struct MCPEra {
  /// The values of a header, whatever its case.
  let header: (String) -> [String]

  /// The revision that the headers alone name, for messages without a body to compare with.
  /// A client of 2025-03-26 sends no header; the later ones must.
  func versionByHeader() throws(RPCError) -> MCPVersion {
    guard let named = header("MCP-Protocol-Version").first else { return .v2025March }
    guard let version = MCPVersion(rawValue: named) else { throw .unsupportedVersion(named) }
    return version
  }

  /// The revision of one request.
  ///
  /// Stateless where the header, the body's `_meta` or the method (`server/discover`) says so; then headers and body
  /// must agree, as intermediaries route on the headers and the server acts on the body
  /// (2026-07-28, Streamable HTTP, "Standard request headers").
  func version(of method: String, parameters: JSONValue?) throws(RPCError) -> MCPVersion {
    let meta = parameters?["_meta"]
    let inBody = meta?[MCPMeta.version]
    let inHeader = header("MCP-Protocol-Version").first.map { MCPVersion(rawValue: $0) }
    let saysStateless = inBody != nil || method == "server/discover" || inHeader??.isStateless == true
    guard saysStateless else {
      // The handshake negotiates in its body; its header, where a client sends one, is a habit.
      return method == "initialize" ? .newestWithHandshake : try versionByHeader()
    }
    guard let meta, meta.object != nil else {
      throw .invalidParameters(
        "'params._meta' is missing; \(MCPVersion.v2026July.rawValue) requires it on every request")
    }
    for key in [MCPMeta.version, MCPMeta.clientCapabilities] where meta[key] == nil {
      throw .invalidParameters("'params._meta' lacks '\(key)'")
    }
    guard let requested = meta[MCPMeta.version]?.string else {
      throw .invalidParameters("'params._meta' has a '\(MCPMeta.version)' that is not a string")
    }
    guard meta[MCPMeta.clientCapabilities]?.object != nil else {
      throw .invalidParameters("'params._meta' has a '\(MCPMeta.clientCapabilities)' that is not an object")
    }
    try agree("MCP-Protocol-Version", with: requested, in: "_meta")
    try agree("Mcp-Method", with: method, in: "method")
    if method == "tools/call", let name = parameters?["name"]?.string {
      try agree("Mcp-Name", with: name, in: "params.name")
    }
    guard let version = MCPVersion(rawValue: requested), version.isStateless else {
      throw .unsupportedVersion(requested)
    }
    return version
  }

  private func agree(_ name: String, with value: String, in place: String) throws(RPCError) {
    let values = header(name)
    guard let first = values.first else { throw .headerMismatch("the header \(name) is missing") }
    guard values.count == 1 else { throw .headerMismatch("the header \(name) appears more than once") }
    guard decodedHeader(first) == value else {
      throw .headerMismatch("the header \(name) does not agree with the body's '\(place)'")
    }
  }
}

/// A header value as its sender meant it: what a header can't carry travels as `=?base64?…?=`
/// (2026-07-28, Streamable HTTP, "Value encoding"). Nil where the base64 is broken.
func decodedHeader(_ value: String) -> String? {
  let prefix = "=?base64?"
  let suffix = "?="
  guard value.hasPrefix(prefix), value.hasSuffix(suffix), value.count >= prefix.count + suffix.count else {
    return value
  }
  let payload = String(value.dropFirst(prefix.count).dropLast(suffix.count))
  return Data(base64Encoded: payload).flatMap { String(validating: $0, as: UTF8.self) }
}

/// Base64 with padding (RFC 4648 section 4).
func base64(_ bytes: [UInt8]) -> String { Data(bytes).base64EncodedString() }
