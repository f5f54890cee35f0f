import Agents
import Hub
import Testing
import Work

@testable import Coordinator

@Suite struct PollTests {
  @Test func theHubIsSweptAndThenWaitedAt() {
    let start = ContinuousClock.now
    var plan = PollPlan(interval: .seconds(30))
    #expect(plan.next(start) == .sweep)
    plan.swept(start)
    #expect(plan.next(start) == .longPoll)
    #expect(plan.next(start + .seconds(299)) == .longPoll)
    // Now and then all is read, for what a long poll leaves out.
    #expect(plan.next(start + .seconds(300)) == .sweep)
    #expect(plan.pace(start) == start + .seconds(1))
    #expect(PollPlan(interval: .milliseconds(200)).pace(start) == start + .milliseconds(200))
  }

  @Test func aHubWithoutLongPollIsPolledAsTheSeedSaysAndAskedAgainLater() {
    let start = ContinuousClock.now
    var plan = PollPlan(interval: .seconds(30))
    plan.swept(start)
    plan.longPollIsMissing(start)
    #expect(plan.next(start + .seconds(1)) == .rest(until: start + .seconds(30)))
    #expect(plan.next(start + .seconds(30)) == .sweep)
    plan.swept(start + .seconds(590))
    #expect(plan.next(start + .seconds(600)) == .longPoll)
    // One that fails is left alone for a shorter while.
    plan.longPollFailed(start + .seconds(600))
    #expect(plan.next(start + .seconds(601)) == .rest(until: start + .seconds(620)))
    plan.swept(start + .seconds(650))
    #expect(plan.next(start + .seconds(660)) == .longPoll)
  }

  @Test func aNotificationIsQueuedAsSoonAsTheHubTellsOfIt() async throws {
    let bench = try await CoordinatorServiceTests.Bench()
    bench.hub.change { $0.hasLongPoll = true }
    // The seed's poll alone would take an hour to find it.
    let service = bench.service(["a": Definitions.agent("a")], poll: .seconds(3600))
    try await bench.running([service]) {
      try await bench.until("it waits at the Hub") { bench.hub.state.withLock { $0.longPolls } == 1 }
      bench.hub.change { $0.inbox.notifications = [DecisionTests.notification("mention")] }
      bench.hub.wake()
      try await bench.until("an item") { try await bench.queue.status().counts["enqueued"] == 1 }
      #expect(bench.hub.state.withLock { $0.polls } == 1)
      #expect(Set(bench.hub.state.withLock { $0.inboxes }) == ["a"])
    }
    // Ended while it waited at the Hub: the lock was given up all the same.
    #expect(try await bench.queue.status().leader == nil)
  }

  @Test func manyAgentsAtOnceAreReadWithOnePoll() async throws {
    let bench = try await CoordinatorServiceTests.Bench()
    let ids = (0..<20).map { "agent-\($0)" }
    bench.hub.change { $0.hasLongPoll = true }
    let definitions = Dictionary(uniqueKeysWithValues: ids.map { ($0, Definitions.agent($0)) })
    try await bench.running([bench.service(definitions, poll: .seconds(3600))]) {
      try await bench.until("it waits at the Hub") { bench.hub.state.withLock { $0.longPolls } == 1 }
      bench.hub.change {
        $0.inbox.notifications = ids.map { DecisionTests.notification("mention", id: $0, agent: $0) }
      }
      bench.hub.wake()
      try await bench.until("all were queued") { try await bench.queue.status().counts["enqueued"] == 20 }
      #expect(bench.hub.state.withLock { $0.inboxes }.isEmpty)
      // One poll for all of them; it may be about to look again.
      #expect((2...4).contains(bench.hub.state.withLock { $0.polls }))
    }
  }
}
