import Glibc
import HTTPServer
import JSON
import Leftovers
import Linux
import Testing

@testable import Sandbox

@Suite("The native loop's program inside") struct LoopProgramTests {
  private func plan(_ program: String?, readOnly: [String]) throws -> [String] {
    var profile = try ProfileFile.load("default", from: ProfileSource(directory: Repository.profiles)).profile
    profile.readOnly = readOnly.map { .init(path: $0, optional: false) }
    return RootPlan.make(profile: profile, loop: program) { _ in .directory }.map(\.description)
      .filter { $0.contains("/run/botburrow") }
  }

  @Test func `Where it shows already there is a link, elsewhere a mount, and nothing where there is none`() throws {
    let place = "/run/botburrow/botburrow-agent"
    #expect(
      try plan("/usr/local/libexec/botburrow/botburrow-agent", readOnly: ["/usr"]) == [
        "make directory /run/botburrow (755)", "make symlink \(place) -> /usr/local/libexec/botburrow/botburrow-agent",
      ])
    #expect(
      try plan("/home/x/botburrow-agent", readOnly: ["/usr"]) == [
        "make directory /run/botburrow (755)", "make file \(place) (444, 0 bytes)",
        "attach /home/x/botburrow-agent on \(place) read-only",
      ])
    #expect(try plan(nil, readOnly: ["/usr"]).isEmpty)
  }

  /// One turn with a command, one with the answer, as the provider streams them.
  private static func stream(_ body: String) -> String {
    let isFirst = !body.contains("tool_result")
    let block =
      isFirst
      ? [
        #"{"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"t1","name":"Bash","input":{}}}"#,
        #"{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"{\"command\":\"id -u; ls /run/agent; echo x > /run/botburrow/x\"}"}}"#,
      ]
      : [
        #"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
        #"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Seen."}}"#,
      ]
    let events =
      [#"{"type":"message_start","message":{"usage":{"input_tokens":100,"output_tokens":1}}}"#] + block + [
        #"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":5}}"#,
        #"{"type":"message_stop"}"#,
      ]
    return events.map { "data: \($0)\n\n" }.joined()
  }

  @Test(.enabled(if: geteuid() == 0, "needs root"))
  func `It runs in profile native, with a command and its gateway`() async throws {
    let supervisor = try TestSupervisor()
    defer { _ = try? supervisor.stop() }
    let server = Kept()
    let brief: JSONValue = [
      "dialect": "anthropic", "model_url": "http://198.18.0.1:8000", "model": "m", "answer_tokens": 500,
      "window": 100_000, "system": "", "limits": ["iterations": 5, "tokens": 50_000, "seconds": 60], "servers": [],
      "shell": ["allowed_commands": [], "blocked_patterns": [], "timeout_seconds": 10],
    ]
    var wish = request(
      [loopProgramPath], files: [.init(path: "loop.json")], listeners: [.init(name: "model", port: 8000)])
    wish.profile = "native"
    wish.environment = ["BOTBURROW_GATEWAY_TOKEN": "tok"]
    let result = try await supervisor.launcher.run(
      wish, files: [Array(brief.compactText.utf8)], input: Array("Go.".utf8), outputLimit: 1 << 20,
      serve: { listeners in
        let descriptor = try #require(listeners["model"])
        await server.keep(
          try await HTTPServer.start(at: .listener(descriptor: descriptor)) { request in
            let body = String(decoding: request.body, as: UTF8.self)
            await server.heard(body)
            return ServerResponse(
              status: 200, headers: [("Content-Type", "text/event-stream")], body: Array(Self.stream(body).utf8))
          })
      })
    let output = String(decoding: result.output, as: UTF8.self)
    let errors = String(decoding: result.errorOutput, as: UTF8.self)
    #expect(result.receipt.exit == .exited(code: 0), "\(output)\(errors)\(supervisor.log)")
    #expect(output.contains("\"answer\":\"Seen.\"") && output.contains("\"tokens_input\":200"))
    // The command ran as the profile's user, saw the brief, and couldn't write beside the program.
    let last = await server.bodies.last ?? ""
    #expect(last.contains("1000\\nloop.json\\n") && last.contains("Read-only file system"), "\(last)")
    await server.stop()
  }
}

/// A server that outlives the closure in which it is made, and what it heard.
private actor Kept {
  private(set) var bodies: [String] = []
  private var server: HTTPServer?
  func keep(_ server: HTTPServer) { self.server = server }
  func heard(_ body: String) { bodies.append(body) }
  func stop() async { await server?.stop(grace: .zero) }
}
