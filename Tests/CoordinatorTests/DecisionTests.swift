import Agents
import Configuration
import Coordinator
import Hub
import Testing
import Work

@Suite struct DecisionTests {
  static func agent(_ change: (inout AgentDefinition) -> Void = { _ in }) -> KnownAgent {
    var definition = AgentDefinition(id: "a", kind: .custom, brain: AgentDefinition.Brain(model: "m"))
    change(&definition)
    return .defined(definition)
  }
  static func notification(
    _ type: String, id: String = "n", agent: String = "a", post: String? = "p", from: String? = "someone"
  ) -> HubNotification {
    HubNotification(id: id, type: type, agentID: agent, postID: post, from: from.map { Person(id: $0) })
  }

  @Test(arguments: [
    ("mention", Decision.answer(.high)), ("dm", .answer(.high)), ("reply", .answer(.normal)),
    ("comment", .answer(.normal)), ("thread_update", .answer(.low)), ("follow", .markRead(.informational)),
    ("like", .markRead(.informational)), ("poke", .leave(.unknownType)),
  ])
  func theTypeDecides(_ type: String, _ decision: Decision) {
    #expect(decide(Self.notification(type), agent: Self.agent(), state: nil) == decision)
  }

  @Test func theDefinitionMaySwitchOff() {
    let mute = Self.agent {
      $0.respondToMentions = false
      $0.respondToReplies = false
      $0.respondToDMs = false
    }
    for type in ["mention", "reply", "comment", "thread_update", "dm"] {
      #expect(decide(Self.notification(type), agent: mute, state: nil) == .markRead(.switchedOff))
    }
    let mentionsOnly = Self.agent { $0.respondToReplies = false }
    #expect(decide(Self.notification("mention"), agent: mentionsOnly, state: nil) == .answer(.high))
    #expect(decide(Self.notification("reply"), agent: mentionsOnly, state: nil) == .markRead(.switchedOff))
  }

  @Test func anAgentDoesNotAnswerItself() {
    #expect(decide(Self.notification("mention", from: "a"), agent: Self.agent(), state: nil) == .markRead(.ownWords))
  }

  @Test func whatTheQueueKnowsComesFirst() {
    let mention = Self.notification("mention")
    for agent in [Self.agent(), .unknown, .broken] {
      #expect(decide(mention, agent: agent, state: .waiting(activationID: "x")) == .leave(.queued))
      #expect(decide(mention, agent: agent, state: .dead(activationID: "x")) == .leave(.dead))
      #expect(decide(mention, agent: agent, state: .done(activationID: "x")) == .markRead(.answered))
    }
    #expect(decide(mention, agent: .unknown, state: nil) == .leave(.unknownAgent))
    #expect(decide(mention, agent: .broken, state: nil) == .leave(.brokenDefinition))
  }

  @Test func oneItemForOneAgentAndPost() {
    let answers: [(notification: HubNotification, priority: WorkItem.Priority)] = [
      (Self.notification("reply", id: "1"), .normal), (Self.notification("mention", id: "2", post: "q"), .high),
      (Self.notification("mention", id: "3"), .high), (Self.notification("reply", id: "4", agent: "b"), .normal),
      (Self.notification("dm", id: "5", post: nil), .high), (Self.notification("dm", id: "6", post: nil), .high),
      (Self.notification("thread_update", id: "7"), .low), (Self.notification("reply", id: "1"), .normal),
    ]
    var made = 0
    let items = workItems(answers, now: 9) {
      made += 1
      return "id-\(made)"
    }
    #expect(items.map(\.notificationIDs) == [["1", "3", "7"], ["2"], ["4"], ["5"], ["6"]])
    #expect(items.map(\.priority) == [.high, .high, .normal, .high, .high])
    #expect(items.map(\.agentID) == ["a", "a", "b", "a", "a"])
    #expect(items.map(\.postID) == ["p", "q", "p", nil, nil])
    #expect(items.map(\.activationID) == ["id-1", "id-2", "id-3", "id-4", "id-5"])
    #expect(items.allSatisfy { $0.createdAt == 9 && $0.taskType == .notification && $0.attempt == 0 })
  }

  @Test func whoSaidEnoughTodayAnswersTomorrow() {
    var limits = AgentDefinition.Limits()
    (limits.maxDailyComments, limits.maxDailyPosts) = (2, 1)
    func answer(_ comments: Int) -> Decision {
      Decision.answer(.low).within(limits, said: SaidToday(comments: comments, posts: 9))
    }
    #expect(answer(1) == .answer(.low))
    #expect(answer(2) == .leave(.dailyLimit))
    #expect(Decision.answer(.low).within(limits, said: nil) == .answer(.low))
    func explore(_ comments: Int, _ posts: Int) -> DueDecision {
      DueDecision.explore(nextDue: 5).within(limits, said: SaidToday(comments: comments, posts: posts), now: 86_500)
    }
    // As long as it may do one of the two.
    #expect(explore(2, 0) == .explore(nextDue: 5))
    #expect(explore(1, 1) == .explore(nextDue: 5))
    #expect(explore(2, 1) == .later(172_800))
  }

  @Test func theHubIsLeftAloneForAsLongAsItAsks() {
    let backoff = HubBackoff(interval: .seconds(30))
    #expect(backoff.delay(failures: 1, retryAfter: .seconds(120), jitter: 1) == .seconds(120))
    #expect(backoff.delay(failures: 9, retryAfter: .seconds(99_999), jitter: 1) == .seconds(3600))
    #expect(
      (1...4).map { backoff.delay(failures: $0, retryAfter: nil, jitter: 0) } == [7.5, 15, 30, 30].map { .seconds($0) })
    #expect(backoff.delay(failures: 2, retryAfter: nil, jitter: 1) == .seconds(11.25))
    #expect(HubBackoff(interval: .seconds(1)).delay(failures: 9, retryAfter: nil, jitter: 0) == .seconds(30))
  }
}

@Suite struct StalenessTests {
  @Test func whoExploresAndHowOften() {
    var definition = AgentDefinition(id: "a", kind: .custom, brain: AgentDefinition.Brain(model: "m"))
    #expect(staleThreshold(of: definition, default: .seconds(60)) == nil)
    definition.discovery.enabled = true
    #expect(staleThreshold(of: definition, default: .seconds(90)) == .seconds(90))
    definition.discovery.frequency = .hourly
    #expect(staleThreshold(of: definition, default: .seconds(60)) == .seconds(3600))
    definition.discovery.frequency = .daily
    #expect(staleThreshold(of: definition, default: .seconds(60)) == .seconds(86400))
  }

  @Test func nobodyExploresSoonerThanItMaySpeak() {
    var definition = Definitions.agent("a", explores: true)
    definition.limits.minInterval = .seconds(7200)
    definition.discovery.frequency = .hourly
    #expect(staleThreshold(of: definition, default: .seconds(60)) == .seconds(7200))
  }

  @Test func whatIsNearlyUsedUpIsKeptForAnswers() {
    let explore = DueDecision.explore(nextDue: 9)
    for budget in [nil, .healthy, .warning] as [BudgetState?] { #expect(explore.within(budget, now: 100) == explore) }
    for budget in [.throttled, .exhausted] as [BudgetState] {
      #expect(explore.within(budget, now: 100) == .later(1000))
      #expect(DueDecision.forget.within(budget, now: 100) == .forget)
    }
  }

  @Test func theHubsLastActivationGivesTheFirstDueTime() {
    let due = firstDue(
      ["active": 100, "never": 100, "rested": 100],
      stale: [
        "never": HubAgent(id: "never"), "rested": HubAgent(id: "rested", lastActivatedAt: "1970-01-01T00:01:00Z"),
      ], now: 1000)
    #expect(due.map(\.agentID) == ["active", "never", "rested"])
    #expect(due.map(\.at) == [1100, 1000, 160])
  }

  @Test func anAgentThatWasActiveMeanwhileWaits() {
    func due(_ last: Double?) -> DueAgent { DueAgent(agentID: "a", due: 5, lastActivated: last) }
    #expect(decide(due(nil), threshold: 100, now: 1000) == .explore(nextDue: 1100))
    #expect(decide(due(950), threshold: 100, now: 1000) == .later(1050))
    #expect(decide(due(900), threshold: 100, now: 1000) == .explore(nextDue: 1100))
    #expect(decide(due(nil), threshold: nil, now: 1000) == .forget)
  }

  @Test func theListIsKeptShort() {
    #expect(explorationRoom(queued: 0, maxConcurrent: 50) == 100)
    #expect(explorationRoom(queued: 7, maxConcurrent: 5) == 3)
    #expect(explorationRoom(queued: 11, maxConcurrent: 5) == 0)
  }
}
