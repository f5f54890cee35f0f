import Glibc
import HTTPClient
import Synchronization
import TestSupport
import Testing

@testable import Agents
@testable import Bucket

private let skill = "---\nname: greet\ndescription: Says hello\nrequires_grants: [hub:write]\n---\n# Greeting\n"
private let files = [
  "agents/test-agent/config.yaml": definition().replacing("skills: []", with: "skills: [greet]"),
  "agents/test-agent/system-prompt.md": "Be kind. Grüße!\n",
  "agents/other-agent/config.yaml": definition("other-agent"),
  "skills/greet/SKILL.md": skill,
]

/// The same layout gives the same agents from either place.
private func check(_ source: some DefinitionSource) async throws {
  #expect(try await source.list() == ["other-agent", "test-agent"])
  let agent = try await source.load("test-agent")
  #expect(agent.definition.id == "test-agent")
  #expect(agent.systemPrompt == "Be kind. Grüße!\n")
  #expect(agent.skills.map(\.name) == ["greet"])
  #expect(agent.skills.first?.body == "# Greeting\n")
  #expect(try await source.load("other-agent").systemPrompt == "")
}

@Suite struct DirectorySourceTests {
  private func directory(_ extra: [String: String] = [:]) throws -> TemporaryDirectory {
    let directory = try TemporaryDirectory()
    for (path, text) in files.merging(extra, uniquingKeysWith: { $1 }) { try directory.write(text, to: path) }
    return directory
  }

  @Test func readsTheLayout() async throws {
    let directory = try directory(["agents/UPPER/config.yaml": "", "agents/notes/README.md": "no agent"])
    try await check(DirectorySource(directory.path))
  }

  @Test func manyAgentsAreWalkedInParts() async throws {
    let many = try TemporaryDirectory()
    for index in 0..<2001 { try many.write("", to: "agents/agent-\(index)/config.yaml") }
    var parts: [Int] = []
    var ids: Set<String> = []
    try await DirectorySource(many.path).walk { part in
      parts.append(part.count)
      ids.formUnion(part)
    }
    #expect(parts == [1000, 1000, 1])
    #expect(ids.count == 2001)
    // What the visitor throws ends the walk.
    struct Enough: Error {}
    var seen = 0
    await #expect(throws: Enough.self) {
      try await DirectorySource(many.path).walk { _ in
        seen += 1
        throw Enough()
      }
    }
    #expect(seen == 1)
  }

  @Test func whatIsMissingIsNamed() async throws {
    let directory = try directory([
      "agents/no-skill/config.yaml": definition("no-skill").replacing("skills: []", with: "skills: [nope]")
    ])
    let source = DirectorySource(directory.path)
    #expect(
      await message { try await source.load("nobody") }
        == "there is no agent 'nobody': \(directory.path) has no agents/nobody/config.yaml")
    #expect(
      await message { try await source.load("no-skill") }
        == "agent 'no-skill' names skill 'nope', but \(directory.path) has no skills/nope/SKILL.md; add it or take it off the list"
    )
    #expect(
      await message { try await DirectorySource("/nowhere").list() }
        == "/nowhere can't be read: No such file or directory")
    let empty = try TemporaryDirectory()
    #expect(
      await message { try await DirectorySource(empty.path).list() }
        == "\(empty.path)/agents can't be read: No such file or directory; definitions belong in agents/<id>/config.yaml"
    )
  }

  @Test(arguments: ["", "..", "a", "../../etc", "a/b", "Test-Agent", "agent\u{0}", "ägent"])
  func idsThatCannotBe(id: String) async throws {
    let source = DirectorySource(try directory().path)
    #expect(
      await message { try await source.load(id) }
        == "'\(id)' can't be an agent's id: it must be 3 to 50 lower-case letters, digits and hyphens")
  }

  @Test func linksAreNotFollowed() async throws {
    let directory = try directory()
    let path = directory.path
    #expect(symlink("/etc/hostname", "\(path)/agents/other-agent/system-prompt.md") == 0)
    #expect(symlink("\(path)/agents/test-agent", "\(path)/agents/linked") == 0)
    #expect(symlink("/", "\(path)/agents/rooted") == 0)
    let source = DirectorySource(path)
    let reason = "it is a symbolic link, which is not followed; put the file itself there"
    #expect(
      await message { try await source.load("other-agent") }
        == "\(path)/agents/other-agent/system-prompt.md can't be read: \(reason)")
    #expect(await message { try await source.load("linked") } == "\(path)/agents/linked can't be read: \(reason)")
    #expect(await message { try await source.load("rooted") } == "\(path)/agents/rooted can't be read: \(reason)")
  }

  @Test func whatIsNoTextFileIsRefused() async throws {
    let directory = try directory(["agents/big-agent/config.yaml": String(repeating: "#", count: (1 << 20) + 1)])
    let path = directory.path
    let source = DirectorySource(path)
    #expect(
      await message { try await source.load("big-agent") }
        == "\(path)/agents/big-agent/config.yaml is larger than 1048576 bytes")
    #expect(unlink("\(path)/agents/big-agent/config.yaml") == 0)
    #expect(mkfifo("\(path)/agents/big-agent/config.yaml", 0o600) == 0)
    #expect(
      await message { try await source.load("big-agent") }
        == "\(path)/agents/big-agent/config.yaml can't be read: it is not a regular file")
    let bytes: [UInt8] = [0x68, 0xFF]
    let descriptor = open("\(path)/agents/test-agent/system-prompt.md", O_WRONLY | O_TRUNC)
    #expect(write(descriptor, bytes, 2) == 2)
    close(descriptor)
    #expect(
      await message { try await source.load("test-agent") }
        == "\(path)/agents/test-agent/system-prompt.md is not UTF-8 text")
  }
}

@Suite struct BucketSourceTests {
  private func source(
    _ bucket: String, _ server: S3Server, id: String? = nil, secret: String? = nil, region: String = "auto",
    now: @escaping @Sendable () -> Int = { time(nil) }
  ) -> BucketSource {
    BucketSource(
      bucket: bucket, endpoint: server.endpoint + "/", accessKeyID: id ?? server.accessKeyID,
      secretAccessKey: secret ?? server.secretAccessKey, region: region, transport: HTTPClient(), now: now)
  }

  @Test(arguments: ["auto", "us-east-1"])
  func readsTheLayout(region: String) async throws {
    let server = try await S3Server.shared()
    let bucket = "layout-\(region)"
    try await server.makeBucket(bucket, objects: files)
    try await check(source(bucket, server, region: region))
  }

  @Test func changesAreSeen() async throws {
    let server = try await S3Server.shared()
    try await server.makeBucket("changes", objects: files)
    let source = source("changes", server)
    try await server.put("New prompt", bucket: "changes", key: "agents/test-agent/system-prompt.md")
    #expect(try await source.load("test-agent").systemPrompt == "New prompt")
    try await server.delete(bucket: "changes", key: "agents/other-agent/config.yaml")
    #expect(try await source.list() == ["test-agent"])
    #expect(
      await message { try await source.load("other-agent") }
        == "there is no agent 'other-agent': bucket 'changes' has no agents/other-agent/config.yaml")
  }

  @Test func wrongSecretIsRefusedByTheServer() async throws {
    let server = try await S3Server.shared()
    try await server.makeBucket("refused", objects: files)
    let hint =
      "check R2_ACCESS_KEY_ID, R2_SECRET_ACCESS_KEY and r2.region, and that the key may read this bucket"
    #expect(
      await message { try await source("refused", server, secret: "wrong").list() }
        == "bucket 'refused', key 'agents/': status 403 (SignatureDoesNotMatch); \(hint)")
    #expect(
      await message { try await source("refused", server, secret: "wrong").load("test-agent") }
        == "bucket 'refused', key 'agents/test-agent/config.yaml': status 403 (SignatureDoesNotMatch); \(hint)")
    #expect(
      await message { try await source("refused", server, id: "AKIAUNKNOWN").list() }
        == "bucket 'refused', key 'agents/': status 403 (InvalidAccessKeyId); \(hint)")
  }

  @Test func noSuchBucket() async throws {
    let server = try await S3Server.shared()
    let problem = "status 404 (NoSuchBucket); check r2.bucket and r2.endpoint"
    #expect(
      await message { try await source("absent-bucket", server).list() }
        == "bucket 'absent-bucket', key 'agents/': \(problem)")
    #expect(
      await message { try await source("absent-bucket", server).load("test-agent") }
        == "bucket 'absent-bucket', key 'agents/test-agent/config.yaml': \(problem)")
  }

  @Test func unreachableEndpoint() async throws {
    let source = BucketSource(
      bucket: "b", endpoint: "ftp://h", accessKeyID: "i", secretAccessKey: "s", region: "auto", transport: HTTPClient())
    #expect(
      await message { try await source.list() }
        == "bucket 'b', key 'agents/': 'ftp://h' is not an http:// or https:// URL; correct r2.endpoint")
    let answers = ScriptedTransport { _ in
      throw HTTPClientError(method: "GET", url: "http://h/b", code: 7, reason: "refused")
    }
    #expect(
      await message { try await scripted(answers).list() }
        == "bucket 'b', key 'agents/': GET http://h/b: refused (libcurl code 7); check r2.endpoint and the network")
  }

  @Test(arguments: [
    (
      500, "<Error><Code>InternalError</Code></Error>",
      "status 500 (InternalError); the service is busy or broken; the next attempt may succeed"
    ),
    (
      403, "<Error><Code>RequestTimeTooSkewed</Code></Error>",
      "status 403 (RequestTimeTooSkewed); set this host's clock"
    ),
    (301, "", "status 301; the bucket is served elsewhere; correct r2.endpoint or r2.region"),
    (
      200, "<html>hello</html>",
      "the answer to ListObjectsV2 is not an S3 listing; check that r2.endpoint is the S3 endpoint"
    ),
    (400, "<Code>a\nlog line</Code>", "status 400; check r2.bucket and r2.endpoint"),
  ])
  func badAnswers(status: Int, body: String, expected: String) async {
    let source = scripted(ScriptedTransport { _ in HTTPResponse(status: status, body: Array(body.utf8)) })
    #expect(await message { try await source.list() } == "bucket 'b', key 'agents/': \(expected)")
  }

  @Test func pagesAreReadToTheEnd() async throws {
    let transport = ScriptedTransport { request in
      let second = request.url.contains("continuation-token=a%26b%2F")
      let body =
        second
        ? "<ListBucketResult><IsTruncated>false</IsTruncated><CommonPrefixes><Prefix>agents/two-two/</Prefix></CommonPrefixes></ListBucketResult>"
        : "<ListBucketResult><Prefix>agents/</Prefix><IsTruncated>true</IsTruncated><NextContinuationToken>a&amp;b/</NextContinuationToken><CommonPrefixes><Prefix>agents/one-one/</Prefix></CommonPrefixes><CommonPrefixes><Prefix>agents/No&lt;/</Prefix></CommonPrefixes></ListBucketResult>"
      return HTTPResponse(status: 200, body: Array(body.utf8))
    }
    #expect(try await scripted(transport).list() == ["one-one", "two-two"])
    #expect(
      transport.urls.first == "http://h:9/base/b?delimiter=%2F&list-type=2&prefix=agents%2F")
  }

  private func scripted(_ transport: ScriptedTransport) -> BucketSource {
    BucketSource(
      bucket: "b", endpoint: "http://h:9/base", accessKeyID: "i", secretAccessKey: "s", region: "auto",
      transport: transport, now: { 0 })
  }
}

/// Answers from a closure, and remembers what was asked.
private final class ScriptedTransport: HTTPTransport {
  private let answer: @Sendable (HTTPRequest) throws -> HTTPResponse
  private let seen = Mutex<[HTTPRequest]>([])
  var urls: [String] { seen.withLock { $0.map(\.url) } }
  init(_ answer: @escaping @Sendable (HTTPRequest) throws -> HTTPResponse) { self.answer = answer }
  func send(_ request: HTTPRequest) async throws -> HTTPResponse {
    seen.withLock { $0.append(request) }
    return try answer(request)
  }
}

@Suite struct CachingSourceTests {
  private final class Stub: DefinitionSource {
    struct State {
      var prompt = "one"
      var failure: DefinitionError?
      var loads = 0
      var now = ContinuousClock.now
      var reported: [String] = []
    }
    let state = Mutex(State())
    func list() async throws -> [String] { ["test-agent"] }
    func load(_ agentID: String) async throws -> LoadedAgent {
      try state.withLock { state in
        state.loads += 1
        if let failure = state.failure { throw failure }
        var definition = AgentDefinition(id: agentID, kind: .custom, brain: .init(model: "m"))
        definition.cacheTTL = .seconds(60)
        return LoadedAgent(definition: definition, systemPrompt: state.prompt, skills: [])
      }
    }
  }
  private func make() -> (Stub, CachingSource) {
    let stub = Stub()
    let source = CachingSource(stub, now: { stub.state.withLock { $0.now } }) { id, problem in
      stub.state.withLock { $0.reported.append("\(id): \(problem)") }
    }
    return (stub, source)
  }

  @Test func keepsForTheDefinitionsOwnTime() async throws {
    let (stub, source) = make()
    #expect(try await source.load("test-agent").systemPrompt == "one")
    stub.state.withLock {
      $0.prompt = "two"
      $0.now += .seconds(59)
    }
    #expect(try await source.load("test-agent").systemPrompt == "one")
    stub.state.withLock { $0.now += .seconds(1) }
    #expect(try await source.load("test-agent").systemPrompt == "two")
    #expect(stub.state.withLock { $0.loads } == 2)
  }

  @Test func aBrokenSuccessorLeavesTheLastGoodOneInUse() async throws {
    let (stub, source) = make()
    _ = try await source.load("test-agent")
    stub.state.withLock {
      $0.failure = .notText(file: "f")
      $0.now += .seconds(60)
    }
    #expect(try await source.load("test-agent").systemPrompt == "one")
    #expect(stub.state.withLock { $0.reported } == ["test-agent: f is not UTF-8 text"])
    // Not asked again at once.
    _ = try await source.load("test-agent")
    #expect(stub.state.withLock { $0.loads } == 2)
    stub.state.withLock {
      $0.failure = nil
      $0.prompt = "three"
      $0.now += .seconds(30)
    }
    #expect(try await source.load("test-agent").systemPrompt == "three")
  }

  @Test func firstFailureAndRemovalAreErrors() async throws {
    let (stub, source) = make()
    stub.state.withLock { $0.failure = .notText(file: "f") }
    #expect(await message { try await source.load("test-agent") } == "f is not UTF-8 text")
    stub.state.withLock { $0.failure = nil }
    _ = try await source.load("test-agent")
    let gone = DefinitionError.noSuchAgent(id: "test-agent", place: "p")
    stub.state.withLock {
      $0.failure = gone
      $0.now += .seconds(60)
    }
    await #expect(throws: gone) { try await source.load("test-agent") }
    await #expect(throws: gone) { try await source.load("test-agent") }
    #expect(stub.state.withLock { $0.reported } == [])
  }
}
