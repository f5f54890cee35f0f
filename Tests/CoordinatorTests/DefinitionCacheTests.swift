import Agents
import Observe
import Synchronization
import Testing

@testable import Coordinator

@Suite struct DefinitionCacheTests {
  /// Agents by id, each with a version; one without a definition is there and can't be read.
  private final class Source: DefinitionSource {
    struct Broken: Error, CustomStringConvertible { let description = "config.yaml:1:1: 'name' is missing" }
    struct State {
      var agents: [String: (communities: [String], isBroken: Bool)] = [:]
      var reads = 0
      var now = ContinuousClock.now
      /// What happens while a reading is under way.
      var meanwhile: (@Sendable () async -> Void)?
    }
    let state = Mutex(State())
    func set(_ id: String, _ words: [String], broken: Bool = false) {
      state.withLock { $0.agents[id] = (words, broken) }
    }
    func pass(_ time: Duration) { state.withLock { $0.now += time } }
    var reads: Int { state.withLock { $0.reads } }
    func list() async throws -> [String] { state.withLock { $0.agents.keys.sorted() } }
    func load(_ agentID: String) async throws -> LoadedAgent {
      let (loaded, meanwhile) = try state.withLock { state in
        guard let agent = state.agents[agentID] else {
          throw DefinitionError.noSuchAgent(id: agentID, place: "here")
        }
        if agent.isBroken { throw Broken() }
        state.reads += 1
        var definition = AgentDefinition(id: agentID, kind: .custom, brain: .init(model: "m"))
        definition.description = agent.communities.joined()
        definition.cacheTTL = .seconds(300)
        var loaded = LoadedAgent(definition: definition, systemPrompt: "", skills: [])
        loaded.files = [DefinitionFile(path: "f", version: .tag(agent.communities.joined()))]
        defer { state.meanwhile = nil }
        return (loaded, state.meanwhile)
      }
      await meanwhile?()
      return loaded
    }
    func load(_ agentID: String, unless known: [DefinitionFile]) async throws -> LoadedAgent? {
      let agent = state.withLock { $0.agents[agentID] }
      if let agent, !agent.isBroken, known == [DefinitionFile(path: "f", version: .tag(agent.communities.joined()))] {
        return nil
      }
      return try await load(agentID)
    }
  }
  private let source = Source()
  private let log = LogBook()
  private let metrics = Metrics()
  private var cache: DefinitionCache {
    DefinitionCache(source, metrics: metrics, logger: log.logger, now: { [source] in source.state.withLock { $0.now } })
  }
  private func word(_ agent: KnownAgent) -> String? {
    if case .defined(let definition) = agent { definition.description } else { nil }
  }

  @Test func whatIsUnchangedIsNotReadAgain() async {
    let cache = cache
    source.set("a", ["one"])
    #expect(await word(cache.agent("a")) == "one")
    source.pass(.seconds(300))
    #expect(await word(cache.agent("a")) == "one")
    #expect(source.reads == 1)
    source.set("a", ["two"])
    // Kept for another while.
    source.pass(.seconds(299))
    #expect(await word(cache.agent("a")) == "one")
    source.pass(.seconds(1))
    #expect(await word(cache.agent("a")) == "two")
    #expect(source.reads == 2)
  }

  /// Two readings at once: the one that began first ends last.
  @Test func aSlowReadingDoesNotReplaceANewerOne() async {
    let cache = cache
    source.set("a", ["one"])
    source.state.withLock { state in
      state.meanwhile = { [source] in
        source.set("a", ["two"])
        _ = await cache.agent("a")
      }
    }
    #expect(await word(cache.agent("a")) == "one")
    #expect(await word(cache.agent("a")) == "two")
    #expect(source.reads == 2)
  }

  @Test func anInvalidationIsSeenAtOnce() async {
    let cache = cache
    source.set("a", ["one"])
    source.set("b", ["one"])
    for id in ["a", "b"] { #expect(await word(cache.agent(id)) == "one") }
    #expect(await cache.agent("new") == .unknown)
    for id in ["a", "b", "new"] { source.set(id, ["two"]) }
    await cache.invalidate("a")
    #expect(await word(cache.agent("a")) == "two")
    #expect(await word(cache.agent("b")) == "one")
    #expect(await cache.agent("new") == .unknown)
    await cache.invalidate(nil)
    for id in ["a", "b", "new"] { #expect(await word(cache.agent(id)) == "two") }
  }

  @Test func aBrokenSuccessorLeavesTheLastGoodOneAndSaysSoOnce() async {
    let cache = cache
    source.set("a", ["one"])
    #expect(await word(cache.agent("a")) == "one")
    source.set("a", ["one"], broken: true)
    for _ in 0..<2 {
      await cache.invalidate("a")
      #expect(await word(cache.agent("a")) == "one")
    }
    #expect(
      log.count("new definition is broken; the last good one stays in use | config.yaml:1:1: 'name' is missing") == 1)
    #expect(metrics.exposition().contains(#"botburrow_definition_errors_total{agent="a"} 2"#))
    // As it was before.
    source.set("a", ["one"])
    await cache.invalidate("a")
    #expect(await word(cache.agent("a")) == "one")
    #expect(source.reads == 1)
    source.set("a", ["one"], broken: true)
    await cache.invalidate("a")
    _ = await cache.agent("a")
    #expect(log.count("new definition is broken") == 2)
  }
}
