import Agents
import Hub
import JSON
import Sandbox
import Testing
import Work

@testable import Runner

@Suite("Notes: read, chosen, shown")
struct MemoryTests {
  /// One file of a ustar archive.
  private func entry(_ name: String, _ text: String, modified: Int = 0, kind: Character = "0") -> [UInt8] {
    var header = [UInt8](repeating: 0, count: 512)
    func put(_ text: String, at offset: Int) {
      header.replaceSubrange(offset..<(offset + text.utf8.count), with: text.utf8)
    }
    func octal(_ value: Int) -> String {
      let digits = String(value, radix: 8)
      return String(repeating: "0", count: 11 - digits.count) + digits
    }
    put(name, at: 0)
    put(octal(text.utf8.count), at: 124)
    put(octal(modified), at: 136)
    put(String(kind), at: 156)
    let body = Array(text.utf8)
    return header + body + [UInt8](repeating: 0, count: (512 - body.count % 512) % 512)
  }

  @Test("an archive of the sandbox becomes notes")
  func archive() {
    let bytes =
      entry("./tea.md", "Green.", modified: 1000) + entry("./deep/", "", kind: "5")
      + entry("./deep/x.md", "Deep.", modified: 2000) + [UInt8](repeating: 0, count: 1024)
    #expect(
      NoteArchive.read(bytes) == [
        Note(name: "tea.md", modified: 1000, text: "Green."), Note(name: "deep/x.md", modified: 2000, text: "Deep."),
      ])
  }

  @Test("what isn't an archive ends the reading")
  func strange() {
    #expect(NoteArchive.read([]) == [])
    #expect(NoteArchive.read([UInt8](repeating: 0xFF, count: 2000)) == [])
    // Cut within its second file, as at the limit of output.
    let bytes = entry("./a.md", "A") + entry("./b.md", String(repeating: "b", count: 600))
    #expect(NoteArchive.read(Array(bytes.dropLast(512))) == [Note(name: "a.md", modified: 0, text: "A")])
    // A size beyond what the reader is asked for.
    #expect(NoteArchive.read(entry("./a.md", String(repeating: "a", count: (64 << 10) + 1))) == [])
  }

  private let notes = [
    Note(name: "tea.md", modified: 1, text: "Ada likes green tea."),
    Note(name: "ada.md", modified: 3, text: "Ada asks about sandboxes."),
    Note(name: "cats.md", modified: 2, text: "Cats sleep."),
  ]

  private func names(
    _ strategy: AgentDefinition.Memory.Strategy, _ texts: [String],
    _ change: (inout AgentDefinition.Memory) -> Void = { _ in }
  )
    -> [String]
  {
    var memory = AgentDefinition.Memory()
    memory.strategy = strategy
    change(&memory)
    return Retrieval.choose(notes, by: memory, about: texts).map(\.name)
  }

  @Test("recent: the newest, as many as wanted")
  func recent() {
    #expect(names(.recent, ["tea"]) == ["ada.md", "cats.md", "tea.md"])
    #expect(names(.recent, []) { $0.maxContextItems = 1 } == ["ada.md"])
  }

  @Test("keyword: by words in common; embedding_search is done the same way")
  func keyword() {
    for strategy in [AgentDefinition.Memory.Strategy.keyword, .embeddingSearch] {
      #expect(names(strategy, ["Which green TEA does Ada drink?"]) == ["tea.md"])
      #expect(names(strategy, ["Which green tea?", "Ada"]) { $0.relevanceThreshold = 0 } == ["tea.md", "ada.md"])
      #expect(names(strategy, ["Hello Ada"]) == ["ada.md", "tea.md"])
      #expect(names(strategy, ["What is the weather?"]) == [])
    }
  }

  @Test("long notes are shortened, and all have a bound")
  func long() {
    let many = (0..<10).map { Note(name: "\($0).md", modified: $0, text: String(repeating: "x", count: 5000)) }
    var memory = AgentDefinition.Memory()
    memory.strategy = .recent
    let chosen = Retrieval.choose(many, by: memory, about: [])
    #expect(chosen.map(\.text.count) == [4001, 4001, 4001])
  }

  @Test("the prompt quotes notes, and says how to keep more")
  func prompt() {
    var prepared = Prepared(
      agent: agent {
        $0.memory.enabled = true
        $0.memory.conversationsWith = ["ada"]
        $0.memory.decisionsMade = true
      }, thread: nil, notifications: [], skills: [])
    prepared.memory.notes = [Note(name: "tea.md", modified: 1_795_435_200, text: "Green.\n# What is asked")]
    #expect(
      Prompt.memory(prepared) == """
        # Your notes

        tea.md, 2026-11-23:
        > Green.
        > # What is asked

        All of them are Markdown files in /memory/notes, which stays from one activation to the next (100 MiB at most). \
        Write there what you will want to know again: what you talked about with ada; decisions, with their reasons. A \
        subject has one file, named after it, `.md`; change it when you know better, and keep it short.
        """)
    prepared.memory.notes = []
    prepared.agent.definition.kind = .aider
    #expect(Prompt.memory(prepared) == "# Your notes\n\nYou have none that fit.")
    // What could not be read is not what isn't there.
    prepared.memory.state = .unread
    #expect(
      Prompt.memory(prepared)
        == "# Your notes\n\nThey can't be read this time. They are not lost: don't write them anew.")
    // No place is promised where there is none.
    prepared.memory.state = .noPlace
    #expect(Prompt.memory(prepared) == nil)
    prepared.memory.state = .read
    prepared.agent.definition.memory.enabled = false
    #expect(Prompt.memory(prepared) == nil)
  }

  @Test(
    "days",
    arguments: [(0, "1970-01-01"), (951_782_400, "2000-02-29"), (1_795_391_999, "2026-11-22"), (-1, "1969-12-31")])
  func days(seconds: Int, day: String) { #expect(Prompt.day(seconds) == day) }

  @Test("budget words")
  func budget() {
    let definition = AgentDefinition(id: "test-agent", kind: .custom, brain: .init(model: "m"))
    #expect(Prompt.budget(definition, .init()) == "")
    #expect(
      Prompt.budget(definition, .init(tokens: 100_000, time: .seconds(600)))
        == " You have 100,000 tokens, what you read and write together, and 10 minutes: when that is used up, the activation ends without an answer."
    )
    #expect(Prompt.Bounds(definition, RunnerPolicy()) == .init(tokens: 100_000))
    #expect(Prompt.budget(definition, .init(time: .seconds(90))).hasPrefix(" You have 90 seconds: "))
  }

  @Test("notifications that say the same are one")
  func merged() {
    func note(_ id: String, _ content: String) -> HubNotification {
      HubNotification(id: id, type: "mention", agentID: "a", postID: "7", from: Person(id: "ada"), content: content)
    }
    let prepared = Prepared(
      agent: agent(), thread: nil, notifications: [note("1", "x"), note("2", "x"), note("3", "y")], skills: [])
    let task = ActivationTask(activationID: "a", agentID: "claude-coder-1", type: .notification)
    #expect(
      Prompt.asked(prepared, task: task)
        == "# What is asked\n\nada mentioned you 2 times (post 7):\n> x\n\nada mentioned you (post 7):\n> y")
  }

  @Test("the reader has the agent's profile and workspace, no network, and a name of its own")
  func request() {
    var definition = AgentDefinition(id: "claude-coder-1", kind: .claudeCode, brain: .init(model: "m"))
    definition.memory.maxSizeMiB = 5
    let request = Recall.request(definition, activationID: "a-1", within: .seconds(20))
    #expect(request.activationID == "a-1-notes")
    #expect(request.profile == "claude-code")
    #expect(request.workspace == "claude-coder-1" && request.limits.timeoutSeconds == 20)
    #expect(request.limits.workspaceBytes == 5 << 20)
    #expect(request.tightening?.withoutNetwork == true)
    #expect(request.listeners.isEmpty && request.environment.isEmpty && request.files.isEmpty)
    let long = Recall.request(definition, activationID: String(repeating: "a", count: 64), within: .seconds(20))
    #expect(long.activationID.count == 64)
  }

  /// An activation of an agent with a memory, whose reader ends so.
  private func activate(
    _ change: (inout RunnerPolicy) -> Void = { _ in }, _ reader: @escaping @Sendable () async throws -> FakeLauncher.End
  )
    async throws -> (World, ActivationEnd, prompt: String?)
  {
    let launcher = FakeLauncher { program in
      program.request.activationID.hasSuffix("-notes") ? try await reader() : .init(output: "Hi")
    }
    let world = try World(launcher, agents: [agent { $0.memory.enabled = true }])
    var services = world.services
    change(&services.policy)
    let end = await Activation(task: world.activation().task, services: services).perform()
    return (world, end, launcher.programs.last?.input)
  }

  @Test(
    "what keeps notes from being read is told to the operator and to the agent, and keeps nobody from answering",
    arguments: [
      (
        41, "there is no 'tar' in its root\n", "They can't be read this time.",
        "the reader in profile 'default' ended: exited 41: there is no 'tar' in its root"
      ),
      (
        2, "tar: ./x.md: Cannot open\n", "They can't be read this time.",
        "the reader in profile 'default' ended: exited 2: tar: ./x.md: Cannot open"
      ),
      (40, "", nil, "profile 'default' has no workspace at /memory, where notes would stay"),
    ] as [(Int, String, String?, String)])
  func unread(_ code: Int, _ said: String, _ prompt: String?, _ logged: String) async throws {
    let (world, end, input) = try await activate { .init(error: said, exit: .exited(code: code)) }
    #expect(end.failure == nil && end.answer == "Hi")
    let line = try #require(world.logged.lines.first { $0.message == "notes can't be read" })
    #expect(line.metadata["error"] == "\(logged)")
    #expect(input?.contains("# Your notes") == (prompt != nil))
    if let prompt { #expect(input?.contains(prompt) == true) }
  }

  @Test("a reader that never ends is ended by us, and the agent answers without its notes")
  func overdue() async throws {
    let (world, end, input) = try await activate {
      $0.recallTimeout = .milliseconds(10)
      $0.receiptGrace = .milliseconds(10)
    } _: {
      try await Task.sleep(for: .seconds(600))
      return .init()
    }
    #expect(end.failure == nil && end.answer == "Hi")
    #expect(input?.contains("They can't be read this time.") == true)
    #expect(world.logged.lines.contains { $0.message == "notes can't be read" })
  }
}
