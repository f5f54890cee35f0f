import HTTPServer
import ModelStandIn

/// A tool server (MCP) as these runs use it: a program in a sidecar's sandbox.
struct ServerUnderTest: Sendable {
  /// In the catalogue, and in the names of its tools.
  var name: String
  /// Its entry in mcp-servers.yaml, without the name.
  var entry: String
  /// What the model has called, in this order.
  var calls: [Scenario.Call]
  /// Words that an answer of the server holds, and nothing that the model was told or says itself.
  var proof: String
  /// Calls that are answered with a refusal: the server's own, at the end of its calls.
  var refusals = 0

  /// In the prefix's `bin`.
  var program: String { "mcp-server-\(name)" }

  /// Every one of them.
  /// - Parameter pages: where the one host is that may be fetched from.
  static func all(_ pages: Pages) -> [ServerUnderTest] {
    [
      ServerUnderTest(
        name: "time", entry: "{command: mcp-server-time, grants: [\"time:read\"]}",
        calls: [.init("mcp__time__get_current_time", ["timezone": "UTC"])], proof: "is_dst"),
      // Its sandbox shows no repository: it makes one of its own.
      ServerUnderTest(
        name: "git", entry: "{command: /bin/sh, args: [-c, \"\(repository)\"], grants: [\"git:read\"]}",
        calls: [.init("mcp__git__git_log", ["repo_path": "/tmp/burrow"])], proof: "The owl moved in"),
      ServerUnderTest(
        name: "sqlite",
        entry: "{command: mcp-server-sqlite, args: [--db-path, /tmp/data.db], grants: [\"sqlite:write\"]}",
        calls: [
          .init("mcp__sqlite__create_table", ["query": "CREATE TABLE seen (what TEXT)"]),
          // Put together there, so that the question doesn't hold the answer.
          .init("mcp__sqlite__write_query", ["query": "INSERT INTO seen VALUES ('three owls' || ' at dusk')"]),
          .init("mcp__sqlite__read_query", ["query": "SELECT what FROM seen"]),
        ], proof: "three owls at dusk"),
      ServerUnderTest(
        name: "fetch",
        entry: """
          {command: mcp-server-fetch, args: [--allow-private-ips, --ignore-robots-txt], grants: ["fetch:read"], \
          hosts: ["\(Pages.allowed):\(pages.port)"], private_addresses: ["\(Pages.allowed)"]}
          """,
        calls: [
          .init("mcp__fetch__fetch", ["url": .string("http://\(Pages.allowed):\(pages.port)/"), "raw": true]),
          .init("mcp__fetch__fetch", ["url": .string("http://\(Pages.forbidden):\(pages.port)/"), "raw": true]),
        ], proof: Pages.allowedWords, refusals: 1),
    ]
  }

  private static let repository =
    "git init -q /tmp/burrow && cd /tmp/burrow && git -c user.name=ada -c user.email=ada@burrow.test commit -q "
    + "--allow-empty -m 'The owl moved in' && exec mcp-server-git"
}

/// Two web servers of this machine at one port: one that `fetch` may reach, and one that nobody may.
struct Pages: Sendable {
  static let allowed = "127.0.0.77"
  static let forbidden = "127.0.0.1"
  static let allowedWords = "Owls like short grass."
  static let forbiddenWords = "Nobody reads this page."
  private let servers: [HTTPServer]
  let port: Int

  static func start() async throws -> Pages {
    let first = try await HTTPServer.start(at: .tcp(host: allowed, port: 0)) { _ in .text(200, allowedWords) }
    let second = try await HTTPServer.start(at: .tcp(host: forbidden, port: first.port)) { _ in
      .text(200, forbiddenWords)
    }
    return Pages(servers: [first, second], port: first.port)
  }

  func stop() async {
    for server in servers { await server.stop(grace: .zero) }
  }
}
