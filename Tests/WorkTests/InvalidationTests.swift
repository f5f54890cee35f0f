import Redis
import TestSupport
import Testing
import Work

@Suite struct InvalidationTests {
  /// What one daemon hears, one after the other.
  private final class Ear: Sendable {
    private let news: AsyncStream<DefinitionNews>
    private let task: Task<Void, Never>
    init(_ queue: WorkQueue) {
      let (news, said) = AsyncStream.makeStream(of: DefinitionNews.self)
      self.news = news
      task = Task { await queue.hearInvalidations { said.yield($0) } }
    }
    deinit { task.cancel() }
    func next() async -> DefinitionNews? {
      for await one in news { return one }
      return nil
    }
  }

  @Test func everyListenerHearsWhichAgentItIs() async throws {
    let bench = try await Bench()
    #expect(try await bench.queue.invalidateDefinitions(of: "a") == 0)
    let ears = [Ear(bench.queue), Ear(Bench.queue(bench.server))]
    for ear in ears { #expect(await ear.next() == .listening) }
    #expect(try await bench.queue.invalidateDefinitions(of: "a") == 2)
    #expect(try await bench.queue.invalidateDefinitions(of: nil) == 2)
    for expected: DefinitionNews in [.changed(agentID: "a"), .changed(agentID: nil)] {
      for ear in ears { #expect(await ear.next() == expected) }
    }
  }

  @Test func anotherDatabaseIsAnotherSystem() async throws {
    let bench = try await Bench()
    var url = bench.server.url
    url.database = 3
    let other = WorkQueue(url)
    let ear = Ear(other)
    #expect(await ear.next() == .listening)
    #expect(try await bench.queue.invalidateDefinitions(of: "a") == 0)
    #expect(try await other.invalidateDefinitions(of: "b") == 1)
    #expect(await ear.next() == .changed(agentID: "b"))
  }

  @Test func whoDidNotExploreIsLookedAtAgain() async throws {
    let bench = try await Bench()
    let fence = try #require(try await bench.leader().campaign())
    let ids = ["a", "b", "c"]
    #expect(try await bench.queue.noteQuiet(ids.map { ($0, 99_999_999_999) }, fence: fence))
    #expect(try await bench.queue.unscheduled(ids) == [])
    _ = try await bench.queue.invalidateDefinitions(of: "b")
    #expect(try await bench.queue.unscheduled(ids) == ["b"])
    _ = try await bench.queue.invalidateDefinitions(of: nil)
    #expect(try await bench.queue.unscheduled(ids) == ids)
  }
}
