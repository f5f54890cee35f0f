import AgentLoop
import EventStream
import JSONText

/// Calls the tools of one MCP server at the gateway.
struct MCPClient {
  let server: LoopBrief.Server
  let token: String

  /// The tools that the activation's grants let it see.
  func list(deadline: Double) throws(ToolTrouble) -> [MCPTalk.ListedTool] {
    var tools: [MCPTalk.ListedTool] = []
    var cursor: String?
    // A server that goes on for ever is cut off.
    for page in 1...20 {
      let result = try send(MCPTalk.list(id: page, cursor: cursor), "tools/list", nil, id: page, deadline)
      let (more, next) = MCPTalk.tools(result)
      tools += more
      cursor = next
      if next == nil { break }
    }
    return tools
  }

  /// Calls a tool.
  func call(_ tool: String, _ arguments: JSONValue, deadline: Double) throws(ToolTrouble) -> (
    text: String, isError: Bool
  ) {
    MCPTalk.text(
      try send(MCPTalk.call(id: 1, tool: tool, arguments: arguments), "tools/call", tool, id: 1, deadline))
  }

  private func send(
    _ message: JSONValue, _ method: String, _ tool: String?, id: Int, _ deadline: Double
  ) throws(ToolTrouble) -> JSONValue {
    guard let target = HTTPTarget(server.url) else {
      throw ToolTrouble("server \(server.name) has no URL that can be called")
    }
    let exchange = Exchange(
      target: target,
      headers: MCPTalk.headers(method: method, tool: tool) + [
        ("Content-Type", "application/json"), ("Authorization", "Bearer \(token)"),
      ], body: Array(message.compactText.utf8), deadline: deadline)
    let answer: (status: Int, headers: [String: String], body: [UInt8])
    do throws(ExchangeError) { answer = try exchange.whole() } catch {
      throw ToolTrouble("server \(server.name) at \(error)")
    }
    let isStream = SSEParser.reads(answer.headers["content-type"])
    // What the server says of the error is better than a status, where it says something.
    if answer.status != 200, answer.body.first != UInt8(ascii: "{") {
      throw ToolTrouble("server \(server.name) answered with status \(answer.status)")
    }
    return try MCPTalk.result(of: answer.body, isStream: isStream, id: id)
  }
}
