import EventStream
import JSONText

/// What is said to an MCP server, in the revision without sessions (2026-07-28): every request says everything, so there is
/// no handshake to wait for. The server is always this system's own gateway, which speaks it whatever stands behind. Pure.
public enum MCPTalk {
  /// The revision.
  public static let version = "2026-07-28"

  /// Asks for a page of the list of tools.
  public static func list(id: Int, cursor: String? = nil) -> JSONValue {
    message(id, "tools/list", cursor.map { ["cursor": .string($0)] } ?? [:])
  }

  /// Calls a tool by the server's name for it.
  public static func call(id: Int, tool: String, arguments: JSONValue) -> JSONValue {
    message(id, "tools/call", ["name": .string(tool), "arguments": arguments])
  }

  /// Headers must agree with the body ("Standard request headers").
  public static func headers(method: String, tool: String? = nil) -> [(name: String, value: String)] {
    [("MCP-Protocol-Version", version), ("Mcp-Method", method), ("Accept", "application/json, text/event-stream")]
      + (tool.map { [("Mcp-Name", $0)] } ?? [])
  }

  private static func message(_ id: Int, _ method: String, _ parameters: [String: JSONValue]) -> JSONValue {
    var parameters = parameters
    parameters["_meta"] = [
      "io.modelcontextprotocol/protocolVersion": .string(version),
      "io.modelcontextprotocol/clientCapabilities": [:],
      "io.modelcontextprotocol/clientInfo": ["name": "botburrow-agent", "version": "1"],
    ]
    return ["jsonrpc": "2.0", "id": .integer(Int64(id)), "method": .string(method), "params": .object(parameters)]
  }

  /// The result of an answer, which is one JSON text or a stream of events with the answer among them.
  public static func result(of body: [UInt8], isStream: Bool, id: Int) throws(ToolTrouble) -> JSONValue {
    for text in isStream ? SSEParser.data(in: body) : [body] {
      let message: JSONValue
      do throws(JSONError) { message = try JSONValue(parsing: text) } catch {
        throw ToolTrouble("the server's answer can't be read: \(error)")
      }
      // Notifications on the way are nothing to us.
      guard message["id"]?.integer == Int64(id) || message["error"] != nil else { continue }
      if let error = message["error"] {
        throw ToolTrouble((error["message"]?.string ?? "the server answered with an error").oneLine(limit: 500))
      }
      if let result = message["result"] { return result }
    }
    throw ToolTrouble("the server gave no answer to the call")
  }

  /// A call's result as text for the model.
  public static func text(_ result: JSONValue) -> (text: String, isError: Bool) {
    let blocks = (result["content"]?.array ?? []).map { block -> String in
      switch block["type"]?.string {
      case "text": return block["text"]?.string ?? ""
      case "resource":
        let resource = block["resource"]
        return resource?["text"]?.string ?? "[resource \(resource?["uri"]?.string ?? "") not shown]"
      case "resource_link": return "[resource \(block["uri"]?.string ?? "")]"
      case let type: return "[\(type ?? "content") \(block["mimeType"]?.string ?? "") not shown]"
      }
    }
    var text = blocks.joined(separator: "\n")
    if text.isEmpty, let structured = result["structuredContent"] { text = structured.compactText }
    return (text.isEmpty ? "(no output)" : text, result["isError"]?.bool == true)
  }

  /// The tools of a page of the list, and the cursor of the next one.
  public static func tools(_ result: JSONValue) -> (tools: [ListedTool], next: String?) {
    let tools = (result["tools"]?.array ?? []).compactMap { tool -> ListedTool? in
      // The name goes into a header as it is: one that a header can't carry has no place here.
      guard let name = tool["name"]?.string, !name.isEmpty, name.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else {
        return nil
      }
      return ListedTool(
        name: name, about: tool["description"]?.string ?? tool["title"]?.string ?? "",
        schema: tool["inputSchema"] ?? ["type": "object"])
    }
    return (tools, result["nextCursor"]?.string)
  }

  /// A tool as its server lists it.
  public struct ListedTool: Sendable, Hashable {
    /// The server's name for it.
    public var name: String
    /// For the model.
    public var about: String
    /// JSON Schema of its arguments.
    public var schema: JSONValue
    /// A tool of its parts.
    public init(name: String, about: String, schema: JSONValue) {
      self.name = name
      self.about = about
      self.schema = schema
    }
  }
}
