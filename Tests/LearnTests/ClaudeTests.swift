import Glibc
import JSON
import Linux
import Testing

@testable import Learn

/// The real Claude Code binary, from the wheel `claude-agent-sdk`, where it is installed outside /tmp and every user may run it;
/// BOTBURROW_TEST_CLAUDE names it elsewhere.
enum Claude {
  static let path: String? = {
    if let named = getenv("BOTBURROW_TEST_CLAUDE") { return String(cString: named) }
    let script = "import claude_agent_sdk, os; print(os.path.dirname(claude_agent_sdk.__file__) + '/_bundled/claude')"
    guard let tool = try? Tool(), let found = try? tool.run(["/usr/bin/python3", "-c", script]) else { return nil }
    try? tool.remove()
    let path = String(found.output.split(separator: "\n").first ?? "")
    return access(path, X_OK) == 0 ? path : nil
  }()
}

@Suite(
  .serialized,
  .enabled(
    if: Claude.path != nil && Tool.isRoot,
    "no Claude Code: pip install claude-agent-sdk, or set BOTBURROW_TEST_CLAUDE; and sandboxes need root"))
struct ClaudeTests {
  private func with(_ body: (Tool, String) throws -> Void) throws {
    guard let path = Claude.path else { return }
    let tool = try Tool()
    do { try body(tool, path) } catch {
      try tool.remove()
      throw error
    }
    try tool.remove()
  }

  @Test func itsVersion() throws {
    try with { tool, claude in
      let learned = try tool.learn(["--verify"], [claude, "--version"])
      #expect(learned.isGood, "\(learned.errors)")
      #expect(learned.output.contains("Verified: in a sandbox"))
      #expect(learned.output.contains("\n  - \(claude)\n"), "\(learned.output)")
      #expect(learned.output.contains("\nnetwork: none\n"))
    }
  }

  /// A whole activation's work: prompt on standard input, an answer that is streamed.
  @Test func anAnswer() throws {
    try with { tool, claude in
      let server = try LocalServer(type: "text/event-stream", answer: Self.answer)
      defer { server.stop() }
      try tool.write("prompt", "Say hello.\n")
      let variables = [
        "ANTHROPIC_BASE_URL=http://{gateway}:\(server.port)", "ANTHROPIC_API_KEY=token",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC=1", "CLAUDE_CODE_MAX_RETRIES=1", "ENABLE_TOOL_SEARCH=false",
      ]
      let command = [
        claude, "-p", "--bare", "--model", "claude-sonnet-4-5", "--output-format", "stream-json", "--verbose",
        "--permission-mode", "dontAsk", "--max-turns", "2", "--no-session-persistence",
      ]
      let learned = try tool.learn(
        ["--verify", "--input", "\(tool.folder)/prompt"] + variables.flatMap { ["--env", $0] }, command)
      try #require(learned.isGood, "\(learned.errors)")
      // It ended well each time: recorded, recorded in a sandbox, and under the profile.
      let results = learned.errors.split(separator: "\n").compactMap { try? JSONValue(parsing: Array($0.utf8)) }.filter
      {
        $0["type"] == "result"
      }
      #expect(results.count >= 3)
      #expect(
        results.allSatisfy { $0["is_error"] == false && $0["result"]?.string?.contains("Hello from here.") == true })
      #expect(learned.output.contains("connected to 127.0.0.1:\(server.port)"))
      #expect(!learned.output.contains("\nnetwork:"))
    }
  }

  private static let answer: String = {
    let events: [(String, String)] = [
      (
        "message_start",
        #"""
        "message":{"id":"msg_1","type":"message","role":"assistant","model":"claude-sonnet-4-5","content":[],"stop_reason":null,
        """#.filter { $0 != "\n" }
          + #""stop_sequence":null,"usage":{"input_tokens":10,"output_tokens":1}}"#
      ),
      ("content_block_start", #""index":0,"content_block":{"type":"text","text":""}"#),
      ("content_block_delta", #""index":0,"delta":{"type":"text_delta","text":"Hello from "}"#),
      ("content_block_delta", #""index":0,"delta":{"type":"text_delta","text":"here."}"#),
      ("content_block_stop", #""index":0"#),
      (
        "message_delta",
        #""delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":6}"#
      ),
    ]
    let text = events.map { "event: \($0)\ndata: {\"type\":\"\($0)\",\($1)}\n\n" }.joined()
    return text + "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"
  }()
}
