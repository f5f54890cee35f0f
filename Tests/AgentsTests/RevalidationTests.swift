import Glibc
import HTTPClient
import Synchronization
import TestSupport
import Testing

@testable import Agents
@testable import Bucket

private let skill = "---\nname: greet\n---\n# Greeting\n"
private let files = [
  "agents/test-agent/config.yaml": definition().replacing("skills: []", with: "skills: [greet]"),
  "agents/test-agent/system-prompt.md": "Be kind.\n", "agents/bare-agent/config.yaml": definition("bare-agent"),
  "skills/greet/SKILL.md": skill,
]

@Suite struct RevalidationTests {
  // MARK: Directory

  /// A directory whose files look old enough to be told by their times.
  private func directory() throws -> (TemporaryDirectory, DirectorySource) {
    let directory = try TemporaryDirectory()
    for (path, text) in files { try directory.write(text, to: path) }
    return (directory, DirectorySource(directory.path, now: { time(nil) + 60 }))
  }

  @Test(arguments: [
    ("agents/test-agent/config.yaml", "\n# more"), ("agents/test-agent/system-prompt.md", "more"),
    ("skills/greet/SKILL.md", "more"),
  ]) func everyFileOfAnAgentCounts(path: String, more: String) async throws {
    let (directory, source) = try directory()
    let agent = try await source.load("test-agent")
    #expect(agent.files.map(\.path) == files.keys.filter { !$0.contains("bare") }.sorted { $0 < $1 })
    #expect(try await source.load("test-agent", unless: agent.files) == nil)
    try directory.write((files[path] ?? "") + more, to: path)
    let changed = try #require(try await source.load("test-agent", unless: agent.files))
    #expect(try await source.load("test-agent", unless: changed.files) == nil)
  }

  @Test func aFileThatComesOrGoesIsAChange() async throws {
    let (directory, source) = try directory()
    let bare = try await source.load("bare-agent")
    #expect(bare.files.last == DefinitionFile(path: "agents/bare-agent/system-prompt.md", version: .absent))
    #expect(try await source.load("bare-agent", unless: bare.files) == nil)
    try directory.write("Hello", to: "agents/bare-agent/system-prompt.md")
    let spoken = try #require(try await source.load("bare-agent", unless: bare.files))
    #expect(spoken.systemPrompt == "Hello")
    #expect(unlink("\(directory.path)/agents/bare-agent/system-prompt.md") == 0)
    #expect(try await source.load("bare-agent", unless: spoken.files)?.systemPrompt == "")
    #expect(unlink("\(directory.path)/agents/bare-agent/config.yaml") == 0)
    #expect(
      await message { try await source.load("bare-agent", unless: spoken.files) }?.hasPrefix("there is no agent")
        == true)
  }

  /// Same length, same second, same modification time.
  @Test func aFileThatLooksTheSameIsTold() async throws {
    let (directory, source) = try directory()
    let path = "agents/test-agent/system-prompt.md"
    let agent = try await source.load("test-agent")
    var status = stat()
    #expect(stat("\(directory.path)/\(path)", &status) == 0)
    try directory.write("Be rude.\n", to: path)
    let times = [status.st_atim, status.st_mtim]
    #expect(utimensat(AT_FDCWD, "\(directory.path)/\(path)", times, 0) == 0)
    #expect(try await source.load("test-agent", unless: agent.files)?.systemPrompt == "Be rude.\n")
  }

  @Test func aFileOfThisMomentIsReadAgain() async throws {
    let (directory, _) = try directory()
    let source = DirectorySource(directory.path)
    let agent = try await source.load("bare-agent")
    #expect(agent.files.first?.version == .unknown)
    #expect(try await source.load("bare-agent", unless: agent.files) != nil)
  }

  // MARK: Bucket

  /// Sends, and remembers what was asked for and answered.
  private final class Recorder: HTTPTransport {
    private let client = HTTPClient()
    private let seen = Mutex<[String]>([])
    func send(_ request: HTTPRequest) async throws -> HTTPResponse {
      let answer = try await client.send(request)
      let name = request.url.split(separator: "/").last ?? ""
      seen.withLock { $0.append("\(name) \(answer.status) \(answer.body.isEmpty ? "empty" : "read")") }
      return answer
    }
    /// Since the last time.
    func take() -> [String] {
      seen.withLock { seen in
        defer { seen = [] }
        return seen
      }
    }
  }

  @Test func aBucketIsAskedWithItsTags() async throws {
    let server = try await S3Server.shared()
    try await server.makeBucket("revalidate", objects: files)
    let recorder = Recorder()
    let source = BucketSource(
      bucket: "revalidate", endpoint: server.endpoint, accessKeyID: server.accessKeyID,
      secretAccessKey: server.secretAccessKey, region: "auto", transport: recorder)
    let agent = try await source.load("test-agent")
    #expect(recorder.take() == ["config.yaml 200 read", "system-prompt.md 200 read", "SKILL.md 200 read"])
    #expect(try await source.load("test-agent", unless: agent.files) == nil)
    #expect(recorder.take() == ["config.yaml 304 empty", "system-prompt.md 304 empty", "SKILL.md 304 empty"])
    // Put again as it is: the same tag, nothing to read.
    try await server.put(skill, bucket: "revalidate", key: "skills/greet/SKILL.md")
    #expect(try await source.load("test-agent", unless: agent.files) == nil)
    _ = recorder.take()
    try await server.put(skill + "\nBow.\n", bucket: "revalidate", key: "skills/greet/SKILL.md")
    let changed = try #require(try await source.load("test-agent", unless: agent.files))
    #expect(changed.skills.first?.body.hasSuffix("Bow.\n") == true)
    #expect(recorder.take().prefix(3) == ["config.yaml 304 empty", "system-prompt.md 304 empty", "SKILL.md 200 read"])

    let bare = try await source.load("bare-agent")
    #expect(try await source.load("bare-agent", unless: bare.files) == nil)
    try await server.put("Hello", bucket: "revalidate", key: "agents/bare-agent/system-prompt.md")
    #expect(try await source.load("bare-agent", unless: bare.files)?.systemPrompt == "Hello")
    try await server.delete(bucket: "revalidate", key: "agents/bare-agent/config.yaml")
    #expect(
      await message { try await source.load("bare-agent", unless: bare.files) }?.hasPrefix("there is no agent") == true)
  }

  private struct Scripted: HTTPTransport {
    let answer: @Sendable (HTTPRequest) -> HTTPResponse
    func send(_ request: HTTPRequest) async throws -> HTTPResponse { answer(request) }
  }

  @Test func aBucketWithoutTagsIsReadAgain() async throws {
    let config = Array(definition("bare-agent").utf8)
    let source = BucketSource(
      bucket: "b", endpoint: "http://h", accessKeyID: "i", secretAccessKey: "s", region: "auto",
      transport: Scripted { request in
        #expect(!request.headers.contains { $0.name == "if-none-match" })
        return request.url.hasSuffix("config.yaml")
          ? HTTPResponse(status: 200, body: config) : HTTPResponse(status: 404)
      })
    let agent = try await source.load("bare-agent")
    #expect(agent.files.first?.version == .unknown)
    #expect(try await source.load("bare-agent", unless: agent.files) != nil)
  }

  /// An answer that nobody asked for is no definition.
  @Test func a304WithoutAQuestionIsAnError() async throws {
    let source = BucketSource(
      bucket: "b", endpoint: "http://h", accessKeyID: "i", secretAccessKey: "s", region: "auto",
      transport: Scripted { _ in HTTPResponse(status: 304) })
    #expect(await message { try await source.load("bare-agent") }?.contains("status 304") == true)
  }
}

@Suite struct InvalidationTests {
  /// A source of one agent, whose version is a number.
  private final class Numbered: DefinitionSource {
    struct State {
      var number = 1
      var failure: DefinitionError?
      var reads = 0
      var questions = 0
      var now = ContinuousClock.now
      var reported = 0
      /// What happens while a reading is under way.
      var meanwhile: (@Sendable () async throws -> Void)?
    }
    let state = Mutex(State())
    func list() async throws -> [String] { ["test-agent"] }
    func load(_ agentID: String) async throws -> LoadedAgent {
      let agent = try state.withLock { state in
        state.reads += 1
        if let failure = state.failure { throw failure }
        var definition = AgentDefinition(id: agentID, kind: .custom, brain: .init(model: "m"))
        definition.cacheTTL = .seconds(60)
        var agent = LoadedAgent(definition: definition, systemPrompt: "\(state.number)", skills: [])
        agent.files = [DefinitionFile(path: "f", version: .tag("\(state.number)"))]
        return agent
      }
      let meanwhile = state.withLock { state in
        defer { state.meanwhile = nil }
        return state.meanwhile
      }
      try await meanwhile?()
      return agent
    }
    func load(_ agentID: String, unless known: [DefinitionFile]) async throws -> LoadedAgent? {
      let isSame = state.withLock { state in
        state.questions += 1
        return state.failure == nil && known == [DefinitionFile(path: "f", version: .tag("\(state.number)"))]
      }
      return isSame ? nil : try await load(agentID)
    }
  }
  private func make() -> (Numbered, CachingSource) {
    let source = Numbered()
    return (
      source,
      CachingSource(source, now: { source.state.withLock { $0.now } }) { _, _ in
        source.state.withLock { $0.reported += 1 }
      }
    )
  }
  private func prompt(_ cache: CachingSource) async throws -> String { try await cache.load("test-agent").systemPrompt }

  @Test func anUnchangedDefinitionIsKeptForAnotherWhile() async throws {
    let (source, cache) = make()
    #expect(try await prompt(cache) == "1")
    source.state.withLock { $0.now += .seconds(60) }
    #expect(try await prompt(cache) == "1")
    source.state.withLock { $0.now += .seconds(59) }
    #expect(try await prompt(cache) == "1")
    #expect(source.state.withLock { ($0.reads, $0.questions) } == (1, 1))
    source.state.withLock {
      $0.now += .seconds(1)
      $0.number = 2
    }
    #expect(try await prompt(cache) == "2")
    #expect(source.state.withLock { ($0.reads, $0.questions) } == (2, 2))
  }

  @Test func anInvalidationIsSeenAtOnceAndAnotherAgentsIsNot() async throws {
    let (source, cache) = make()
    #expect(try await prompt(cache) == "1")
    source.state.withLock { $0.number = 2 }
    cache.invalidate("other-agent")
    #expect(try await prompt(cache) == "1")
    cache.invalidate("test-agent")
    #expect(try await prompt(cache) == "2")
    source.state.withLock { $0.number = 3 }
    #expect(try await prompt(cache) == "2")
    cache.invalidate(nil)
    #expect(try await prompt(cache) == "3")
  }

  /// What was on its way when the word came may be what the word was about.
  @Test func aReadingThatAnInvalidationOvertookIsNotBelieved() async throws {
    let (source, cache) = make()
    source.state.withLock { state in
      state.meanwhile = {
        source.state.withLock { $0.number = 2 }
        cache.invalidate("test-agent")
      }
    }
    #expect(try await prompt(cache) == "1")
    #expect(try await prompt(cache) == "2")
    #expect(try await prompt(cache) == "2")
    #expect(source.state.withLock { $0.reads } == 2)
  }

  /// Two readings at once: the one that began first ends last.
  @Test func aSlowReadingDoesNotReplaceANewerOne() async throws {
    let (source, cache) = make()
    func overtake(_ change: @escaping @Sendable (inout Numbered.State) -> Void) {
      source.state.withLock { state in
        state.meanwhile = {
          source.state.withLock { change(&$0) }
          _ = try? await cache.load("test-agent")
        }
      }
    }
    overtake { $0.number = 2 }
    #expect(try await prompt(cache) == "1")
    #expect(try await prompt(cache) == "2")
    #expect(source.state.withLock { $0.reads } == 2)
    // One that found that the agent is gone: what the slow one brings is asked for again.
    source.state.withLock { state in
      state.now += .seconds(60)
      state.number = 3
    }
    overtake { $0.failure = .noSuchAgent(id: "test-agent", place: "here") }
    #expect(try await prompt(cache) == "3")
    await #expect(throws: DefinitionError.self) { try await prompt(cache) }
    // The control: without another it is kept.
    source.state.withLock { $0.failure = nil }
    #expect(try await prompt(cache) == "3")
    let reads = source.state.withLock { $0.reads }
    #expect(try await prompt(cache) == "3")
    #expect(source.state.withLock { $0.reads } == reads)
  }

  @Test func aBrokenSuccessorLeavesTheLastGoodOneAlsoAfterAnInvalidation() async throws {
    let (source, cache) = make()
    #expect(try await prompt(cache) == "1")
    source.state.withLock { $0.failure = .notText(file: "f") }
    cache.invalidate("test-agent")
    #expect(try await prompt(cache) == "1")
    #expect(source.state.withLock { $0.reported } == 1)
    // Not asked again at once, but as soon as somebody says that it was mended.
    #expect(try await prompt(cache) == "1")
    #expect(source.state.withLock { $0.reads } == 2)
    source.state.withLock {
      $0.failure = nil
      $0.number = 2
    }
    cache.invalidate("test-agent")
    #expect(try await prompt(cache) == "2")
    #expect(source.state.withLock { $0.reported } == 1)
  }
}
