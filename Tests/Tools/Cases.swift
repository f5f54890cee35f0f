import JSON
import ModelStandIn

/// A tool as these runs use it.
struct ToolUnderTest: Sendable {
  /// Its kind, which is also its profile's name.
  var kind: String
  /// In the prefix's `bin`; nil for this system's own loop, which needs no installing.
  var program: String?
  /// In which it speaks to the model.
  var dialect: String
  /// What it calls with its own tools; the second must print what the first wrote. None for a tool that calls none.
  var calls: [Scenario.Call]
  var hasMCP: Bool
  /// It counts its tokens itself, and ends before the gateway must say no.
  var endsItself = false
  /// Turns of the model that its first request has already: aider shows the model a conversation to learn from.
  var turnsBefore = 0

  static let all = [
    ToolUnderTest(
      kind: "claude-code", program: "claude", dialect: "anthropic",
      calls: [
        .init("Write", ["file_path": "/workspace/word.txt", "content": "burrow"]),
        .init("Bash", ["command": "echo \"[scenario $(cat /workspace/word.txt)]\"", "description": "Reads it"]),
      ], hasMCP: true),
    ToolUnderTest(
      kind: "codex", program: "codex", dialect: "openai-responses",
      calls: [
        .init(
          "exec_command",
          [
            "cmd": .string(
              "apply_patch <<'EOF'\n*** Begin Patch\n*** Add File: word.txt\n+burrow\n*** End Patch\nEOF\n")
          ]),
        .init("exec_command", ["cmd": "echo \"[scenario $(cat /workspace/word.txt)]\""]),
      ], hasMCP: true),
    ToolUnderTest(
      kind: "native", dialect: "anthropic",
      calls: [
        .init("Write", ["file_path": "/workspace/word.txt", "content": "burrow"]),
        .init("Bash", ["command": "echo \"[scenario $(cat /workspace/word.txt)]\""]),
      ], hasMCP: true, endsItself: true),
    ToolUnderTest(kind: "aider", program: "aider", dialect: "openai-chat", calls: [], hasMCP: false, turnsBefore: 3),
  ]
}

/// What happens in a run.
enum Case: String, CaseIterable, Sendable {
  /// A file, a command, the Hub's tools, a sidecar's, and an answer.
  case tools
  /// Every tool server that is installed, each behind the gateway in its sandbox.
  case sidecars
  case unauthorized = "401"
  case unpaid = "402"
  /// Twice, with Retry-After, then an answer.
  case limited = "429 twice"
  case broken = "500"
  case overloaded = "529"
  case cut = "cut stream"
  case refused
  /// 2 s to the first byte, then a word every 100 ms.
  case slow
  case budget

  /// What must come of it.
  enum Wanted: Sendable {
    case answer(String)
    /// A failure whose sentence has one of these words.
    case failure([String])
  }

  /// Whether a tool can be in it at all.
  func suits(_ tool: ToolUnderTest) -> Bool { self != .sidecars || tool.hasMCP }

  /// The longest that a failing provider may keep an activation.
  static let failureLimit = 60.0

  func wanted(_ tool: ToolUnderTest) -> Wanted {
    switch self {
    case .tools: .answer(tool.calls.isEmpty ? "I wrote the word." : Self.proof)
    case .unauthorized: .failure(["401", "key"])
    case .unpaid: .failure(["402", "paid", "credit"])
    case .sidecars: .answer(Self.report)
    case .limited, .slow: .answer(Self.late)
    case .broken: .failure(["500", "server"])
    case .overloaded: .failure(["529", "overload"])
    case .cut: .failure(["cut", "broke", "ended early"])
    case .refused: .failure(["reached", "refused"])
    case .budget: .failure(["budget"])
    }
  }

  static let proof = "I wrote the word, read it, searched the Hub and looked at the clock."
  static let report = "I asked every server that I have."
  static let late = "It took a while, but here I am."

  /// Its name in agents' names and scenarios: lower-case letters, digits, hyphens.
  var id: String { rawValue.replacing(" ", with: "-") }

  /// Its provider fails for good.
  var isFailure: Bool {
    switch self {
    case .unauthorized, .unpaid, .broken, .overloaded, .cut, .refused: true
    case .tools, .sidecars, .limited, .slow, .budget: false
    }
  }

  /// What the model says in it.
  func turns(_ tool: ToolUnderTest, _ servers: [ServerUnderTest]) -> [Scenario.Turn] {
    Array(repeating: .init("It speaks before it was asked."), count: tool.turnsBefore) + own(tool, servers)
  }

  private func own(_ tool: ToolUnderTest, _ servers: [ServerUnderTest]) -> [Scenario.Turn] {
    func refusal(_ status: Int) -> [Scenario.Turn] { [.init(refusal: .init(status))] }
    switch self {
    case .tools:
      if tool.calls.isEmpty { return [.init("I wrote the word.\n\nword.txt\n```\nburrow\n```\n")] }
      // Once the command has printed what the file holds, 'burrow' takes over, below; until then nothing is proved.
      return tool.calls.map { .init(calls: [$0]) } + [.init("The file does not hold what was written.")]
    case .sidecars: return servers.flatMap(\.calls).map { .init(calls: [$0]) } + [.init(Self.report)]
    case .unauthorized: return refusal(401)
    case .unpaid: return refusal(402)
    case .limited: return [.init(refusal: .init(429, retryAfter: 1, times: 2), thenText: Self.late)]
    case .broken: return refusal(500)
    case .overloaded: return refusal(529)
    case .cut:
      var turn = Scenario.Turn(Self.late)
      turn.cutAfter = 4
      return [turn]
    case .refused: return [.init("Nobody hears this.")]
    case .slow:
      var turn = Scenario.Turn(Self.late)
      turn.firstByte = .seconds(2)
      turn.between = .milliseconds(100)
      return [turn]
    case .budget:
      // More than the whole budget at once; aider is brought to ask again by a file without a name.
      var turn = Scenario.Turn(
        tool.calls.isEmpty ? "```\nburrow\n```\n" : "", calls: tool.calls.first.map { [$0] } ?? [])
      turn.usage = .init(input: 150_000, output: 11)
      return [turn, .init("This is beyond the budget.")]
    }
  }

  /// The continuation of `tools` for a request that holds the proof.
  static func proved(_ servers: [ServerUnderTest]) -> [Scenario.Turn] {
    [.init(""), .init(""), .init(calls: [.init("mcp__hub__search", ["query": "burrow"])])]
      + servers.flatMap(\.calls).map { .init(calls: [$0]) } + [.init(proof)]
  }
}

/// One tool in one case: an agent of its own.
struct Trial: Sendable {
  var tool: ToolUnderTest
  var `case`: Case
  /// The tool servers that its agent has beside the Hub's.
  var servers: [ServerUnderTest]

  /// Of the servers that are installed, those of the case.
  init(tool: ToolUnderTest, case: Case, installed: [ServerUnderTest]) {
    self.tool = tool
    self.case = `case`
    servers =
      switch `case` {
      case _ where !tool.hasMCP: []
      case .sidecars: installed
      default: installed.filter { $0.name == "time" }
      }
  }

  var scenario: Scenario { Scenario(`case`.turns(tool, servers), others: ["burrow": Case.proved(servers)]) }

  var agent: String { "\(tool.kind)-\(`case`.id)" }

  /// Where its provider is. The way to a closed door still differs from agent to agent: it names the provider.
  func base(_ model: String) -> String {
    let place = `case` == .refused ? "http://127.0.0.1:1/\(agent)" : model
    return tool.dialect == "anthropic" ? place : "\(place)/v1"
  }

  /// `config.yaml`; its provider is found by its address.
  func definition(model: String) -> String {
    let grants = servers.map { "'\($0.name):*'" }.reduce("hub:read") { "\($0), \($1)" }
    let names = servers.map(\.name).reduce("hub") { "\($0), \($1)" }
    return """
      version: "1.0.0"
      name: \(agent)
      type: \(tool.kind)
      brain: {provider: local, model: \(agent), api_base: "\(base(model))"}
      capabilities:
        grants: [\(tool.hasMCP ? grants : "")]
        mcp_servers: [\(tool.hasMCP ? names : "")]
        shell: {enabled: \(tool.calls.isEmpty ? "false" : "true")}
      behavior: {limits: {min_interval_seconds: 0}}

      """
  }
}
