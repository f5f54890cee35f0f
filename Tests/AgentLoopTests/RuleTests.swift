import JSONText
import Testing

@testable import AgentLoop

private func rules(_ allowed: [String] = [], blocked: [String] = []) -> LoopBrief.Shell {
  var rules = LoopBrief.Shell()
  rules.enabled = true
  rules.allowedCommands = allowed
  rules.blockedPatterns = blocked
  return rules
}

@Suite struct ShellRuleTests {
  @Test func `Without a list everything may run but what is blocked`() {
    #expect(ShellRules.refusal(of: "curl x | sh; $(ls)", rules()) == nil)
    #expect(ShellRules.refusal(of: "ls", .init()) == "this agent may run no commands")
    #expect(ShellRules.refusal(of: "  ", rules()) == "the command is empty")
    #expect(
      ShellRules.refusal(of: "sudo\t rm   -rf\n/", rules(blocked: ["rm -rf /"]))
        == "the command contains 'rm -rf /', which this agent's rules block")
    #expect(ShellRules.refusal(of: "rm -r /", rules(blocked: ["rm -rf /", ""])) == nil)
  }

  @Test(arguments: [
    "git status", "git log | grep -c fix", "A=1 git diff > out.txt 2>&1", "git add . && git commit -m 'a; rm b'",
    "grep \"a|b\" file # rm", "git status &", "(git status; git diff)", "git diff 2>/dev/null", "cd /tmp\ngit status",
    "git log --format='$(x)'", "git\\\n status", "grep a <file &>both", "npm run build -- --x",
  ])
  func `Allowed commands in all the ways of a line`(command: String) {
    #expect(ShellRules.refusal(of: command, rules(["git", "grep", "cd", "npm run build"])) == nil)
  }

  @Test(arguments: [
    ("rm -r x", "rm"), ("git status; rm x", "rm"), ("git log | sh", "sh"), ("git x && rm x", "rm"),
    ("git x\nrm x", "rm"),
    ("A=1 rm x", "rm"), ("> f rm x", "rm"), ("'rm' x", "rm"), ("r\\m x", "rm"), ("/usr/bin/git x", "/usr/bin/git"),
    ("if true; then rm x; fi", "if"), ("npm install", "npm"), ("(rm x)", "rm"), ("{ rm x; }", "rm"), ("git& rm", "rm"),
    ("\"A=1\" git", "A=1"), ("2>f rm x", "rm"),
    // A combining mark makes one character with a quote for people, not for a shell.
    ("git '\u{301}';rm x #'", "rm"), ("git\u{A0}x", "git\u{A0}x"),
  ])
  func `Whatever else would run is refused by its name`(command: String, name: String) {
    let refusal = ShellRules.refusal(of: command, rules(["git", "npm run build"]))
    #expect(refusal == "'\(name)' is not among the commands that this agent may run: git, npm run build")
  }

  @Test(arguments: [
    "git $(rm x)", "git `rm x`", "git \"$(rm x)\"", "git <(rm x)", "git <<E\nrm\nE", "git $'\\'';rm x #'",
  ])
  func `What can't be seen through is refused`(command: String) {
    #expect(ShellRules.refusal(of: command, rules(["git"]))?.contains("can't be checked") == true)
  }
}

@Suite struct ToolRuleTests {
  @Test func `Arguments are checked by name, kind and need`() throws {
    let good = try OwnTool.edit.check(["file_path": "a", "old_string": "b", "new_string": "c", "replace_all": true])
    #expect(good.text("old_string") == "b" && good.flags["replace_all"] == true)
    func message(_ tool: OwnTool, _ value: JSONValue) -> String? {
      do throws(ToolTrouble) {
        _ = try tool.check(value)
        return nil
      } catch { return error.description }
    }
    #expect(message(.read, [:]) == "Read needs 'file_path'")
    #expect(message(.read, ["file_path": 1]) == "'file_path' of Read must be of type string")
    #expect(message(.read, ["file": "a"]) == "Read has no argument 'file'; it has: file_path, offset, limit")
    #expect(message(.read, ["file_path": "a", "offset": "1"]) == "'offset' of Read must be of type integer")
    #expect(message(.read, ["file_path": "a", "limit": .null]) == nil)
  }

  @Test func `Tools of servers have names that every provider takes, each its own`() {
    var box = ToolBox(.init())
    #expect(box.definitions.map(\.name) == ["Read", "Write", "Edit", "Glob", "Grep"])
    let server = LoopBrief.Server(name: "hub", url: "u")
    let long = String(repeating: "x", count: 80)
    box.add(["search", "a.b", "a_b", long, long + "y"].map { .init(name: $0, about: "", schema: [:]) }, of: server)
    let names = box.definitions.dropFirst(5).map(\.name)
    #expect(Array(names.prefix(3)) == ["mcp__hub__search", "mcp__hub__a_b", "mcp__hub__a_b_2"])
    #expect(Set(names).count == 5 && names.allSatisfy { $0.utf8.count <= 64 })
    #expect(box.place("mcp__hub__a_b_2") == .server(server, tool: "a_b"))
    #expect(box.place("mcp__hub__none") == nil && box.place("Bash") == nil)
    #expect(ToolBox(rules()).place("Bash") == .own(.bash))
  }

  @Test(arguments: [
    ("*.py", "a.py", true), ("*.py", "d/e/a.py", true), ("d/*.py", "d/a.py", true), ("d/*.py", "d/e/a.py", false),
    ("**/*.py", "a.py", true), ("**/*.py", "d/e/a.py", true), ("d/**", "d/e/a.py", true), ("d/**", "d", false),
    ("a?c", "abc", true), ("a?c", "ac", false), ("[a-c]x", "bx", true), ("[!a-c]x", "bx", false),
    ("*.{py,js}", "a.js", true),
    ("*.{py,js}", "a.ts", false), ("d/**/x", "d/x", true), ("d/**/x", "d/1/2/x", true), ("*", ".git", true),
    ("a*b*c", "aXbYbZc", true), ("a*b*c", "aXbYbZ", false), ("[", "[", true),
  ])
  func patterns(pattern: String, path: String, matches: Bool) {
    #expect(GlobPattern(pattern).matches(path) == matches)
  }

  @Test(arguments: [
    ("\\d+", "[0-9]+"), ("[\\d.]", "[0-9.]"), ("(?:a|b)", "(a|b)"), ("\\w\\s\\b", "\\w\\s\\b"), ("[]a\\]]", "[]a]]"),
    ("\\.", "\\."), ("a\\", "a\\\\"),
  ])
  func expressions(pattern: String, posix: String) {
    #expect(SearchExpression.posix(pattern).pattern == posix)
    #expect(SearchExpression.posix("(?i)" + pattern) == (posix, true))
  }

  @Test func edits() throws {
    let one = try TextEdit.replacing("b", with: "X", in: "abc", all: false)
    #expect(one == ("aXc", 1))
    let both = try TextEdit.replacing("b", with: "", in: "abcb", all: true)
    #expect(both == ("ac", 2))
    #expect(throws: ToolTrouble.self) { try TextEdit.replacing("b", with: "X", in: "abcb", all: false) }
    #expect(throws: ToolTrouble.self) { try TextEdit.replacing("z", with: "X", in: "abc", all: false) }
    #expect(throws: ToolTrouble.self) { try TextEdit.replacing("", with: "X", in: "abc", all: false) }
    // Composed and decomposed letters look alike and are two texts.
    #expect(throws: ToolTrouble.self) { try TextEdit.replacing("e\u{301}", with: "X", in: "\u{E9}", all: false) }
  }

  @Test func numberedLines() throws {
    #expect(try TextEdit.numbered("a\nb\n", offset: 1, limit: 10, bytes: 100) == "1\ta\n2\tb\n")
    #expect(
      try TextEdit.numbered("a\nb\nc", offset: 2, limit: 1, bytes: 100)
        == "2\tb\n(lines 2 to 2 of 3; go on with offset 3)\n")
    #expect(throws: ToolTrouble("the file has 1 lines; offset 5 is beyond")) {
      try TextEdit.numbered("a", offset: 5, limit: 1, bytes: 100)
    }
  }

  @Test func answersOfServers() throws {
    let json =
      #"{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"found"},{"type":"image","mimeType":"image/png"}]}}"#
    let result = try MCPTalk.result(of: Array(json.utf8), isStream: false, id: 1)
    #expect(MCPTalk.text(result) == ("found\n[image image/png not shown]", false))
    let stream =
      "event: message\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\"}\n\ndata: \(json)\n\n"
    #expect(try MCPTalk.result(of: Array(stream.utf8), isStream: true, id: 1) == result)
    #expect(throws: ToolTrouble("Unknown tool: x")) {
      try MCPTalk.result(
        of: Array(#"{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"Unknown tool: x"}}"#.utf8),
        isStream: false, id: 1)
    }
    #expect(throws: ToolTrouble.self) { try MCPTalk.result(of: [], isStream: true, id: 1) }
    #expect(MCPTalk.text(["structuredContent": ["a": 1], "isError": true]) == ("{\"a\":1}", true))
  }
}

@Suite struct WireTests {
  private func read(_ text: String, size: Int) throws -> (AnswerReader, String) {
    var reader = AnswerReader()
    var body: [UInt8] = []
    let bytes = Array(text.utf8)
    for start in stride(from: 0, to: bytes.count, by: size) {
      body += try reader.take(bytes[start..<min(start + size, bytes.count)])
    }
    return (reader, String(decoding: body, as: UTF8.self))
  }

  @Test(arguments: [1, 2, 5, 1000])
  func answersInPieces(size: Int) throws {
    let (plain, body) = try read("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX: y\r\n\r\nhello", size: size)
    #expect(plain.status == 200 && plain.headers["x"] == "y" && body == "hello" && plain.isComplete)
    let (chunked, pieces) = try read(
      "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 429 Slow\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nhel\r\n2\r\nlo\r\n0\r\nT: x\r\n\r\n",
      size: size)
    #expect(chunked.status == 429 && pieces == "hello" && chunked.isComplete)
    var (open, rest) = try read("HTTP/1.0 200 OK\r\n\r\nhello", size: size)
    #expect(rest == "hello" && !open.isComplete && open.close())
    var (cut, _) = try read("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello", size: size)
    #expect(!cut.isComplete && !cut.close())
    let (empty, _) = try read("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", size: size)
    #expect(empty.isComplete)
  }

  @Test(arguments: [
    "SSH-2.0\r\n", "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
  ])
  func whatIsNoAnswer(text: String) {
    #expect(throws: AnswerReader.Broken.self) { try read(text, size: 1000) }
  }

  @Test func targets() {
    #expect(HTTPTarget("http://198.18.0.1:8000/v1/messages")?.path == "/v1/messages")
    #expect(HTTPTarget("http://198.18.0.1:8000")?.address == 0xC612_0001)
    #expect(HTTPTarget("http://localhost/")?.port == 80)
    for url in [
      "https://198.18.0.1/", "http://host/", "http://1.2.3/", "http://1.2.3.4:x/", "http://1.2.3.4:0/",
      "http://1.2.3.4/a b",
    ] {
      #expect(HTTPTarget(url) == nil, "\(url)")
    }
  }
}
