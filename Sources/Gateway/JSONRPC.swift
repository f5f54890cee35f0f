import JSON

/// One message of JSON-RPC 2.0 as MCP uses it: ids are strings or whole numbers, never null.
enum RPCMessage: Sendable, Hashable {
  case request(id: JSONValue, method: String, parameters: JSONValue?)
  case notification(method: String)
  /// An answer to something that a server asked; this one never asks.
  case response
  /// Not a message; `id` where one could be read.
  case malformed(id: JSONValue, reason: String)

  /// Reads one message out of a parsed body.
  init(_ value: JSONValue) {
    guard case .object(let members) = value else {
      self = .malformed(id: .null, reason: "the body is not a JSON-RPC object")
      return
    }
    let id = members["id"]
    let echo: JSONValue = id.flatMap { Self.isID($0) ? $0 : nil } ?? .null
    guard members["jsonrpc"]?.string == "2.0" else {
      self = .malformed(id: echo, reason: "'jsonrpc' is not \"2.0\"")
      return
    }
    guard let method = members["method"] else {
      let answers = members["result"] != nil || members["error"] != nil
      self = answers ? .response : .malformed(id: echo, reason: "'method' is missing")
      return
    }
    guard let method = method.string else {
      self = .malformed(id: echo, reason: "'method' is not a string")
      return
    }
    // JSON-RPC 2.0 §4.1: a notification is a request *without* the member "id"; one that is null is a broken request.
    guard let id else {
      self = .notification(method: method)
      return
    }
    guard Self.isID(id) else {
      self = .malformed(id: .null, reason: "'id' is not a string or a whole number")
      return
    }
    if let parameters = members["params"], parameters.object == nil {
      self = .malformed(id: id, reason: "'params' is not an object")
      return
    }
    self = .request(id: id, method: method, parameters: members["params"])
  }

  private static func isID(_ value: JSONValue) -> Bool { value.string != nil || value.integer != nil }
}

/// An error object of JSON-RPC.
struct RPCError: Error, Sendable, Hashable {
  var code: Int64
  var message: String
  var data: JSONValue?

  static func parse(_ reason: String) -> RPCError { RPCError(code: -32700, message: reason) }
  static func invalidRequest(_ reason: String) -> RPCError { RPCError(code: -32600, message: reason) }
  static func unknownMethod(_ method: String) -> RPCError {
    RPCError(code: -32601, message: "Unknown method: \(method.prefix(100))")
  }
  static func invalidParameters(_ reason: String) -> RPCError { RPCError(code: -32602, message: reason) }
  /// Headers and body of a 2026-07-28 request disagree.
  static func headerMismatch(_ reason: String) -> RPCError { RPCError(code: -32020, message: reason) }
  /// The client asked for a revision that isn't spoken here.
  static func unsupportedVersion(_ requested: String) -> RPCError {
    RPCError(
      code: -32022, message: "Unsupported protocol version: \(requested.prefix(40))",
      data: [
        "supported": .array(MCPVersion.all.map { .string($0.rawValue) }),
        "requested": .string(String(requested.prefix(40))),
      ])
  }

  /// The whole answer.
  func response(to id: JSONValue) -> JSONValue {
    var error: [String: JSONValue] = ["code": .integer(code), "message": .string(message)]
    error["data"] = data
    return ["jsonrpc": "2.0", "id": id, "error": .object(error)]
  }
}
