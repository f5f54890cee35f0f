import Glibc
import JSON
import Linux
import Testing

/// The virtual environment with the MCP SDK and fastmcp, which scripts/test-clients.sh made.
private let clients: String? = {
  if let python = getenv("BOTBURROW_TEST_CLIENTS").map({ String(cString: $0) }), python.hasSuffix("/bin/python") {
    return String(python.dropLast("/bin/python".count))
  }
  let place = Product.directory.split(separator: "/").dropLast(2).reduce("") { "\($0)/\($1)" } + "/clients"
  return access("\(place)/bin/python", X_OK) == 0 ? place : nil
}()

extension Acceptance {
  /// Real clients from PyPI, inside a sandbox, at the gateway.
  @Suite(
    .serialized, .enabled(if: geteuid() == 0, "needs root"),
    .enabled(if: clients != nil, "the MCP clients aren't in .build/clients; run: scripts/test-clients.sh"),
    .enabled(if: clients?.hasPrefix("/tmp/") != true, "a sandbox's own /tmp covers clients that are below the host's"))
  struct ClientTests {
    private static let script = """
      import asyncio, json, os
      import httpx2, fastmcp
      from fastmcp.client.transports import StreamableHttpTransport
      from mcp.client.client import Client
      from mcp.client.streamable_http import streamable_http_client
      key = {"Authorization": "Bearer " + token}
      url = os.environ["MCP_PROBE_URL"]

      async def use(client, told):
          tools = await client.list_tools()
          tools = getattr(tools, "tools", tools)
          told["tools"] = [tool.name for tool in tools]
          result = await client.call_tool("add", {"a": 2, "b": 3})
          told["text"] = result.content[0].text
          told["structured"] = getattr(result, "structured_content", None)
          for name in ["secret_tool", "secret_twol"]:
              try:
                  refused = await client.call_tool(name, {}, raise_on_error=False) if isinstance(client, fastmcp.Client) else await client.call_tool(name, {})
                  told[name] = str(refused)
              except Exception as error:
                  told[name] = type(error).__name__ + ": " + str(error)

      async def main():
          told = {}
          for mode in ["legacy", "auto", "2026-07-28"]:
              mine = told["sdk " + mode] = {}
              async with httpx2.AsyncClient(headers=key) as http:
                  async with Client(streamable_http_client(url, http_client=http), mode=mode) as client:
                      mine["version"] = client.protocol_version
                      await use(client, mine)
              mine = told["fastmcp " + mode] = {}
              async with fastmcp.Client(StreamableHttpTransport(url, headers=key), mode=mode) as client:
                  await use(client, mine)
          print(json.dumps(told))
      asyncio.run(main())
      """

    @Test func `The SDK and fastmcp list and call in both eras`() async throws {
      let place = try #require(clients)
      try await ToolGround.with(
        servers: """
          servers:
            probe:
              command: /usr/bin/python3
              args: ["-c", "exec(__import__('os').environ['PROGRAM'])"]
              env: {PROGRAM: \(try JSON.text(ProbeServer.program))}
              grants: [probe:use]
              tools: {secret_tool: probe:secret}
          """, shown: [place]
      ) { ground in
        try ground.add(
          agent: "caller", grants: ["probe:use"], servers: ["probe"], python: "\(place)/bin/python",
          script: Self.script)
        let outcome = try await ground.activate("caller")
        for client in ["sdk", "fastmcp"] {
          for mode in ["legacy", "auto", "2026-07-28"] {
            let told = try #require(outcome.said["\(client) \(mode)"])
            #expect(told["tools"] == ["add", "echo", "token"], "\(client) \(mode)")
            #expect(told["text"] == "5", "\(client) \(mode)")
            #expect(told["structured"] == ["result": 5], "\(client) \(mode)")
            #expect(
              told["secret_tool"]?.string?.replacing("secret_tool", with: "secret_twol") == told["secret_twol"]?.string)
            #expect(told["secret_tool"]?.string?.contains("Unknown tool") == true, "\(told["secret_tool"] ?? .null)")
          }
        }
        #expect(outcome.said["sdk legacy"]?["version"] == "2025-11-25")
        #expect(outcome.said["sdk auto"]?["version"] == "2026-07-28")
      }
    }
  }
}

/// A tool server of these tests, in Python without any library.
enum ProbeServer {
  static let program = """
    import hashlib, json, os, sys
    tools = {"echo": {}, "add": {}, "token": {}, "secret_tool": {}}
    def call(name, arguments):
        if name == "add": return arguments["a"] + arguments["b"]
        if name == "echo": return arguments
        if name == "token": return hashlib.sha256(os.environ.get("TOKEN", "").encode()).hexdigest()
    for line in sys.stdin:
        message = json.loads(line)
        if "id" not in message: continue
        method, params = message.get("method"), message.get("params", {})
        if method == "initialize":
            result = {"protocolVersion": params["protocolVersion"], "capabilities": {"tools": {}},
                      "serverInfo": {"name": "probe", "version": "1"}}
        elif method == "tools/list":
            result = {"tools": [{"name": name, "description": name, "inputSchema": {"type": "object"}} for name in tools]}
        elif method == "tools/call":
            value = call(params["name"], params["arguments"])
            result = {"content": [{"type": "text", "text": json.dumps(value)}], "structuredContent": {"result": value}}
        else:
            result = {}
        print(json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": result}), flush=True)

    """
}
