import Redis
import TestSupport
import Testing
import Work

@Suite struct OutboxTests {
  static func entry(_ lease: Lease, post: String? = "12", notes: [String] = []) -> OutboxEntry {
    OutboxEntry(
      id: lease.activationID, activationID: lease.activationID, agentID: lease.item.agentID, postID: post,
      notificationIDs: notes,
      effects: [OutboxEffect(body: Array("\0 first".utf8), state: .sending), OutboxEffect(body: Array("second".utf8))])
  }
  static func claimed(_ bench: Bench, _ token: String = "t") async throws -> [OutboxEntry] {
    try await bench.queue.claimOutbox(token: token, lease: .seconds(15), atMost: 10).entries
  }
  static func keys(_ bench: Bench) async throws -> [String] {
    try await bench.plain.command(["KEYS", "botburrow:outbox*"]).array?.compactMap(\.string) ?? []
  }

  @Test func onlyTheHolderOfTheLeaseStoresAndStoringAgainIsTheSame() async throws {
    let bench = try await Bench()
    try await bench.push(#"{"agent_id":"a","activation_id":"x","notification_ids":["n"]}"#)
    let lease = try await bench.lease()
    var stranger = lease
    stranger.token = "other"
    #expect(try await bench.queue.store(Self.entry(lease), lease: stranger) == .stale)
    #expect(try await Self.keys(bench).isEmpty)
    #expect(try await bench.queue.store(Self.entry(lease, notes: ["n", "m"]), lease: lease) == .stored)
    #expect(try await bench.queue.store(Self.entry(lease), lease: lease) == .stored)
    #expect(
      try await bench.queue.notificationStates(["n", "m"]) == [
        "n": .done(activationID: "x"), "m": .done(activationID: "x"),
      ])
    // Under the lease nobody else delivers it.
    #expect(try await Self.claimed(bench).isEmpty)
    #expect(try await bench.queue.outboxView(activationID: "x", agentID: "a").isStored)
    #expect(try await bench.queue.step("x", token: "other", lease: .seconds(15), [0: .sent]) == false)
    #expect(try await bench.queue.step("x", token: lease.token, lease: .seconds(15), [0: .sent]))
    #expect(try await bench.queue.finish(lease, .done))
    #expect(try await Self.keys(bench).isEmpty)
    #expect(try await bench.queue.status().counts["delivered"] == 1)
  }

  @Test func whatAnAgentSaysIsCountedByDay() async throws {
    let bench = try await Bench()
    for (index, post) in ["12", nil].enumerated() {
      try await bench.push(#"{"agent_id":"a","activation_id":"x\#(index)"}"#)
      let lease = try await bench.lease()
      for kind in ["post", "comment", "comment"] {
        let key = "\(kind)-\(index)-\(Int.random(in: 0...Int.max))"
        _ = try await bench.queue.beginEffect(key, body: Array(#"{"kind":"\#(kind)"}"#.utf8), lease: lease)
      }
      #expect(try await bench.queue.store(Self.entry(lease, post: post), lease: lease) == .stored)
      #expect(try await bench.queue.finish(lease, .done))
    }
    // An answer and twice what it made by itself.
    #expect(
      try await bench.queue.said(by: ["a", "b"])
        == ["a": SaidToday(comments: 5, posts: 2), "b": SaidToday(comments: 0, posts: 0)])
  }

  @Test func whatIsStoredIsNeverRunAgain() async throws {
    for way in ["expired", "released", "retried", "dead"] {
      let bench = try await Bench(lease: way == "expired" ? .milliseconds(50) : Bench.long)
      try await bench.push(#"{"agent_id":"a","activation_id":"x"}"#)
      let lease = try await bench.lease()
      #expect(try await bench.queue.store(Self.entry(lease), lease: lease) == .stored)
      switch way {
      case "expired": #expect(try await LeaseTests.recoverSomething(bench.queue).expired == 1)
      case "released": #expect(try await bench.queue.release(lease))
      case "retried": #expect(try await bench.queue.finish(lease, .retry(reason: "x", delay: .zero)))
      default: #expect(try await bench.queue.finish(lease, .dead(reason: "x")))
      }
      #expect(try await bench.claim() == .empty)
      let status = try await bench.queue.status()
      #expect(status.leased == 0 && status.dead == 0 && status.outbox == 1 && status.counts["done"] == 1)
      #expect(try await bench.queue.outboxView(activationID: "y", agentID: "a").pending == ["x": "12"])
      let entry = try #require(try await Self.claimed(bench).first)
      #expect(entry.effects == Self.entry(lease).effects)
      #expect(entry.agentID == "a" && entry.postID == "12" && entry.activationID == "x")
      // Who held the lease holds nothing any more.
      #expect(try await bench.queue.step("x", token: lease.token, lease: .seconds(15)) == false)
      #expect(try await bench.queue.endOutbox("x", token: lease.token, .delivered, [:]) == .stale)
      #expect(try await bench.queue.endOutbox("x", token: "t", .delivered, [:]) == .delivered)
      #expect(try await Self.keys(bench).isEmpty)
    }
  }

  @Test func anEntryIsDeliveredByOneAtATimeAndComesBackWhenItsDelivererDies() async throws {
    let bench = try await Bench()
    try await bench.push(#"{"agent_id":"a","activation_id":"x"}"#)
    let lease = try await bench.lease()
    _ = try await bench.queue.store(Self.entry(lease), lease: lease)
    #expect(try await bench.queue.finish(lease, .delivering(after: .zero)))
    let first = try await bench.queue.claimOutbox(token: "one", lease: .seconds(15), atMost: 10)
    #expect(first.entries.count == 1)
    let second = try await bench.queue.claimOutbox(token: "two", lease: .seconds(15), atMost: 10)
    #expect(second.entries.isEmpty)
    let next = try #require(second.next)
    #expect(next > .seconds(5) && next <= .seconds(15))
    _ = try await bench.plain.command(["ZADD", "botburrow:outbox", "1", "x"])
    #expect(try await Self.claimed(bench, "two").count == 1)
    #expect(try await bench.queue.step("x", token: "one", lease: .seconds(15), [0: .sent]) == false)
    #expect(
      try await bench.queue.endOutbox("x", token: "two", .later(reason: "away", after: .seconds(60)), [0: .sent])
        == .later)
    #expect(try await Self.claimed(bench, "three").isEmpty)
    _ = try await bench.plain.command(["ZADD", "botburrow:outbox", "1", "x"])
    let shown = try #require(try await bench.queue.entries(.outbox).first)
    #expect(shown.id == "x" && shown.agentID == "a" && shown.reason == "away" && shown.attempt == 1)
    #expect(shown.raw == Array("second".utf8))
    #expect(try await bench.queue.entry("x") == shown)
    let again = try #require(try await Self.claimed(bench, "three").first)
    #expect(again.tries == 1)
    #expect(again.effects.map(\.state) == [.sent, .ready])
  }

  @Test func whatWaitedTooLongIsADeadLetter() async throws {
    let bench = try await Bench()
    try await bench.push(#"{"agent_id":"a","activation_id":"x","notification_ids":["n"]}"#)
    let lease = try await bench.lease()
    _ = try await bench.queue.store(Self.entry(lease, notes: ["n"]), lease: lease)
    #expect(try await bench.queue.finish(lease, .delivering(after: .zero)))
    _ = try await bench.plain.command(["HSET", "botburrow:outbox:entry:x", "created", "1"])
    #expect(try await Self.claimed(bench).count == 1)
    #expect(try await bench.queue.endOutbox("x", token: "t", .later(reason: "away", after: .zero), [:]) == .dead)
    let letter = try #require(try await bench.queue.dead().first)
    #expect(letter.reason == "not delivered in 168 h; the last try: away")
    #expect(letter.raw == Array("\0 first".utf8))
    #expect(try await bench.queue.entry("x")?.state == .dead)
    #expect(try await Self.keys(bench).isEmpty)
    #expect(try await bench.queue.notificationStates(["n"])["n"] == .dead(activationID: "x"))
    #expect(try await bench.queue.replay("x") == .queued)
    #expect(try await bench.queue.dead().isEmpty)
    #expect(try await Self.claimed(bench).first?.effects.map(\.state) == [.sending, .ready])
  }

  @Test func notificationsStayKnownAsLongAsTheirAnswerWaits() async throws {
    let bench = try await Bench()
    func left(_ note: String) async throws -> Int {
      try await bench.plain.command(["PTTL", RedisArgument("botburrow:notification:\(note)")]).integer ?? 0
    }
    let forEver = -1
    try await bench.push(#"{"agent_id":"a","activation_id":"x","notification_ids":["n"]}"#)
    let lease = try await bench.lease()
    _ = try await bench.queue.store(Self.entry(lease, notes: ["n", "m"]), lease: lease)
    #expect(try await bench.queue.finish(lease, .delivering(after: .zero)))
    for note in ["n", "m"] { #expect(try await left(note) == forEver) }
    _ = try await Self.claimed(bench)
    #expect(try await bench.queue.endOutbox("x", token: "t", .later(reason: "away", after: .zero), [:]) == .later)
    for note in ["n", "m"] { #expect(try await left(note) == forEver) }
    _ = try await Self.claimed(bench)
    #expect(try await bench.queue.endOutbox("x", token: "t", .delivered, [:]) == .delivered)
    for note in ["n", "m"] {
      let day = try await left(note)
      #expect((86_000_000...86_400_000).contains(day))
      #expect(try await bench.queue.notificationStates([note])[note] == .done(activationID: "x"))
    }
  }

  @Test func aFactIsKeptWhoeverHasTheLease() async throws {
    let bench = try await Bench()
    try await bench.push(#"{"agent_id":"a","activation_id":"x"}"#)
    let lease = try await bench.lease()
    #expect(try await bench.queue.finish(lease, .retry(reason: "x", delay: .zero)))
    var entry = Self.entry(lease, post: nil)
    entry.id = "x:use:1"
    try await bench.queue.storeFact(entry, lease: lease)
    try await bench.queue.storeFact(entry, lease: lease)
    #expect(try await bench.queue.status().outbox == 1)
    // It is nobody's answer: the agent's next activation needn't wait for it.
    #expect(try await bench.queue.outboxView(activationID: "x", agentID: "a").pending.isEmpty)
    #expect(try await bench.lease().attempt == 1)
  }

  @Test func theLedgerIsSharedByAllRunsAndClosedToWhoLostTheLease() async throws {
    let bench = try await Bench()
    try await bench.push(#"{"agent_id":"a","activation_id":"x"}"#)
    let first = try await bench.lease()
    let words = Array("a:b".utf8)
    #expect(try await bench.queue.beginEffect("x-1", body: words, lease: first) == .new)
    let sent = LedgerRecord(isMade: false, body: words)
    #expect(try await bench.queue.beginEffect("x-1", body: [], lease: first) == .known(sent))
    #expect(try await bench.queue.beginEffect("x-2", body: words, lease: first) == .new)
    try await bench.queue.freeEffect("x-2", lease: first)
    #expect(try await bench.queue.finish(first, .retry(reason: "", delay: .zero)))
    let second = try await bench.lease()
    #expect(try await bench.queue.beginEffect("x-3", body: words, lease: first) == .stale)
    #expect(try await bench.queue.resendEffect("x-1", body: [], lease: first) == false)
    // What was made was made.
    try await bench.queue.effectMade("x-1", body: words, lease: first)
    let made = LedgerRecord(isMade: true, body: words)
    #expect(try await bench.queue.beginEffect("x-1", body: [], lease: second) == .known(made))
    #expect(try await bench.queue.outboxView(activationID: "x", agentID: "a").made == ["x-1": made])
    #expect(try await bench.queue.finish(second, .done))
    let left = try await bench.plain.command(["PTTL", "botburrow:made:x"]).integer ?? 0
    #expect(left > 0 && left <= 86_400_000)
  }
}
