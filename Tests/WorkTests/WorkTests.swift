import JSON
import Redis
import TestSupport
import Testing
import Work

/// A redis-server of the test's own, a queue on it and a plain client beside it.
struct Bench {
  let server: RedisServer
  let queue: WorkQueue
  let plain: RedisConnection

  /// How long leases and locks last in tests that aren't about their end: on a busy machine one test may take half a minute.
  static let long = Duration.seconds(600)

  init(
    lease: Duration = Self.long, maxAttempts: Int = 5, server arguments: [String] = [],
    environment: [String: String] = [:]
  ) async throws {
    server = try await RedisServer(arguments, environment: environment)
    queue = Self.queue(server, lease: lease, maxAttempts: maxAttempts)
    plain = RedisConnection(server.url)
  }

  static func queue(_ server: RedisServer, lease: Duration = Self.long, maxAttempts: Int = 5) -> WorkQueue {
    var options = WorkQueue.Options()
    options.lease = lease
    options.maxAttempts = maxAttempts
    return WorkQueue(server.url, options: options)
  }

  /// One that could lead, by a queue of its own or this one.
  func leader(_ nonce: String = "one", _ queue: WorkQueue? = nil) -> Leader {
    Leader(queue ?? self.queue, ttl: Self.long, nonce: nonce)
  }

  func push(_ json: String, _ pool: Pool = .notification) async throws {
    _ = try await plain.command(["LPUSH", RedisArgument(pool.list), RedisArgument(json)])
  }
  func length(_ pool: Pool = .notification) async throws -> Int? {
    try await plain.command(["LLEN", RedisArgument(pool.list)]).integer
  }
  func claim(
    _ pools: [Pool] = [.notification], runner: String = "r1", runnerCap: Int = 100, globalCap: Int = 100
  ) async throws -> ClaimOutcome {
    try await queue.claim(pools, runner: runner, runnerCap: runnerCap, globalCap: globalCap)
  }
  func lease(_ pools: [Pool] = [.notification], runner: String = "r1") async throws -> Lease {
    let outcome = try await claim(pools, runner: runner)
    guard case .claimed(let lease) = outcome else { throw TestServerError("claimed nothing: \(outcome)") }
    return lease
  }
  func blockedClients(_ count: Int) async throws {
    while try await plain.command(["INFO", "clients"]).string?.contains("blocked_clients:\(count)\r\n") != true {}
  }
}

extension WorkQueue {
  /// One item alone.
  func enqueue(_ item: WorkItem, pool: Pool, fence: Fence) async throws(RedisError) -> EnqueueOutcome? {
    try await enqueue([Proposal(item: item, pool: pool)], fence: fence).first
  }
}

@Suite struct ClaimTests {
  @Test func aPlainPushIsServed() async throws {
    let bench = try await Bench()
    let raw = #"{"agent_id":"a-1","post_id":"p-1","big":12345678901234567890,"extra":{"k":[1]}}"#
    try await bench.push(raw)
    let lease = try await bench.lease()
    #expect(lease.item.agentID == "a-1")
    #expect(lease.item.postID == "p-1")
    #expect(lease.item.taskType == .notification)
    #expect(lease.raw == Array(raw.utf8))
    #expect(lease.attempt == 0)
    #expect(lease.activationID.utf8.count == 36)
    #expect(try await bench.claim() == .empty)
    #expect(try await bench.queue.finish(lease, .done))
    let status = try await bench.queue.status()
    #expect(status.leased == 0)
    #expect(status.counts == ["claimed": 1, "done": 1])
    // Nothing is left but the marks of what was done.
    let keys = Set(try await bench.plain.command(["KEYS", "*"]).array?.compactMap(\.string) ?? [])
    #expect(
      keys == ["botburrow:done", "botburrow:activated", "botburrow:counts", "botburrow:finished:\(lease.token)"])
  }

  @Test func theOldestComesFirstAndTheOwnPoolBeforeOthers() async throws {
    let bench = try await Bench()
    for agent in ["n1", "n2"] { try await bench.push(#"{"agent_id":"\#(agent)"}"#) }
    try await bench.push(#"{"agent_id":"e1"}"#, .exploration)
    try await bench.push(#"{"agent_id":"h1"}"#, .hybrid)
    var agents: [String] = []
    for _ in 0..<4 { agents.append(try await bench.lease(Pool.hybrid.served).item.agentID) }
    #expect(agents == ["h1", "n1", "n2", "e1"])
  }

  @Test func twoQueuesRacingLoseAndDoubleNothing() async throws {
    let bench = try await Bench()
    let other = Bench.queue(bench.server)
    let count = 400
    for index in 0..<count { try await bench.push(#"{"agent_id":"a\#(index)","activation_id":"id-\#(index)"}"#) }
    let seen = try await withThrowingTaskGroup(of: [String].self) { group in
      for (queue, runner) in [(bench.queue, "r1"), (other, "r2"), (bench.queue, "r3"), (other, "r4")] {
        group.addTask {
          var mine: [String] = []
          while case .claimed(let lease) = try await queue.claim(
            [.notification], runner: runner, runnerCap: 5, globalCap: 20)
          {
            mine.append(lease.activationID)
            #expect(try await queue.finish(lease, .done))
          }
          return mine
        }
      }
      return try await group.reduce(into: [String]()) { $0 += $1 }
    }
    #expect(seen.count == count)
    #expect(Set(seen).count == count)
    #expect(try await bench.queue.status().counts["done"] == count)
  }

  @Test func capsAreEnforcedAtTheClaim() async throws {
    let bench = try await Bench()
    for index in 0..<5 { try await bench.push(#"{"agent_id":"a\#(index)"}"#) }
    guard case .claimed(let first) = try await bench.claim(runner: "r1", runnerCap: 1, globalCap: 2) else {
      Issue.record("nothing claimed")
      return
    }
    #expect(try await bench.claim(runner: "r1", runnerCap: 1, globalCap: 2) == .full)
    guard case .claimed = try await bench.claim(runner: "r2", runnerCap: 5, globalCap: 2) else {
      Issue.record("nothing claimed")
      return
    }
    #expect(try await bench.claim(runner: "r2", runnerCap: 5, globalCap: 2) == .full)
    #expect(try await bench.length() == 3)
    try await bench.queue.finish(first, .done)
    guard case .claimed = try await bench.claim(runner: "r3", runnerCap: 5, globalCap: 2) else {
      Issue.record("nothing claimed")
      return
    }
  }

  @Test func pauseFlagsHoldBackTheirPools() async throws {
    let bench = try await Bench()
    try await bench.push(#"{"agent_id":"n"}"#)
    try await bench.push(#"{"agent_id":"h"}"#, .hybrid)
    _ = try await bench.plain.command(["SET", "botburrow:pause", "1"])
    #expect(try await bench.claim() == .paused)
    _ = try await bench.plain.command(["DEL", "botburrow:pause"])
    _ = try await bench.plain.command(["SET", "botburrow:pause:notification", "1"])
    #expect(try await bench.claim() == .paused)
    #expect(try await bench.lease(Pool.hybrid.served).item.agentID == "h")
    #expect(try await bench.claim(Pool.hybrid.served) == .empty)
    // The paused list has a head, but nobody may take it: waiting must not end at once for ever.
    #expect(try await !bench.queue.wait(after: .empty, pools: Pool.hybrid.served, atMost: .milliseconds(50)))
  }

  @Test func oneActivationPerAgentTheOthersWaitBesideIt() async throws {
    let bench = try await Bench()
    try await bench.push(#"{"agent_id":"a","post_id":"1"}"#)
    try await bench.push(#"{"agent_id":"a","post_id":"2","activation_id":"second"}"#)
    try await bench.push(#"{"agent_id":"b"}"#)
    let first = try await bench.lease()
    let other = try await bench.lease()
    #expect((first.item.postID, other.item.agentID) == ("1", "b"))
    #expect(try await bench.queue.status().parked == 1)
    // A copy of what is parked is dropped.
    try await bench.push(#"{"agent_id":"a","post_id":"2","activation_id":"second"}"#)
    #expect(try await bench.claim() == .empty)
    #expect(try await bench.queue.status().counts["duplicate"] == 1)
    try await bench.queue.finish(first, .done)
    #expect(try await bench.queue.status().parked == 0)
    let second = try await bench.lease()
    #expect(second.activationID == "second")
    #expect(second.item.postID == "2")
  }

  @Test func aCopyOfWhatRunsOrIsDoneIsDropped() async throws {
    let bench = try await Bench()
    let raw = #"{"agent_id":"a","activation_id":"x"}"#
    try await bench.push(raw)
    let lease = try await bench.lease()
    try await bench.push(raw)
    #expect(try await bench.claim() == .empty)
    try await bench.queue.finish(lease, .done)
    try await bench.push(raw)
    #expect(try await bench.claim() == .empty)
    // Another id, the same notification: answered once.
    try await bench.push(#"{"agent_id":"a","activation_id":"y","notification_ids":["n"]}"#)
    let answered = try await bench.lease()
    try await bench.push(#"{"agent_id":"a","activation_id":"z","notification_ids":["n"]}"#)
    try await bench.queue.finish(answered, .done)
    #expect(try await bench.claim() == .empty)
    #expect(try await bench.queue.status().counts["duplicate"] == 3)
    #expect(try await bench.queue.status().dead == 0)
  }

  static let unreadable: [(String, String)] = [
    ("{", "the work item is not JSON"),
    ("\u{0}", "the work item is not JSON"),
    ("[]", "the work item is not a JSON object"),
    (#""{}""#, "the work item is not a JSON object"),
    ("{}", "'agent_id' is missing"),
    (#"{"agent_id":null}"#, "'agent_id' is missing"),
    (#"{"agent_id":7}"#, "'agent_id' is not a string"),
    (#"{"agent_id":""}"#, "'agent_id' is not 1 to 128 characters without '/', spaces and control characters"),
    (#"{"agent_id":"../x"}"#, "'agent_id' is not 1 to 128 characters without '/', spaces and control characters"),
    (#"{"agent_id":".."}"#, "'agent_id' is not 1 to 128 characters without '/', spaces and control characters"),
    (#"{"agent_id":"a\u0000b"}"#, "'agent_id' is not 1 to 128 characters without '/', spaces and control characters"),
    (#"{"agent_id":"a","activation_id":1}"#, "'activation_id' is not a string"),
    (#"{"agent_id":"a","post_id":["x"]}"#, "'post_id' is not a string"),
    (#"{"agent_id":"a","notification_ids":"n"}"#, "'notification_ids' is not an array of strings"),
    (#"{"agent_id":"a","notification_ids":["n",2]}"#, "'notification_ids' is not an array of strings"),
    (#"{"agent_id":"a","notification_ids":{}}"#, "'notification_ids' is not an array of strings"),
    (
      #"{"agent_id":"a","task_type":"dance"}"#,
      "'task_type' is 'dance'; known are notification, exploration, inbox and discovery"
    ),
    (#"{"agent_id":"a","priority":"urgent"}"#, "'priority' is 'urgent'; known are high, normal and low"),
    (#"{"agent_id":"a","attempt":-1}"#, "'attempt' is not a whole number from 0 to 1000000"),
    (#"{"agent_id":"a","attempt":1.5}"#, "'attempt' is not a whole number from 0 to 1000000"),
    (#"{"agent_id":"a","created_at":true}"#, "'created_at' is neither seconds since 1970 nor an ISO 8601 time"),
    (#"{"agent_id":"a","created_at":"noon"}"#, "'created_at' is neither seconds since 1970 nor an ISO 8601 time"),
  ]

  @Test(arguments: unreadable)
  func whatCannotBeReadSaysWhy(_ raw: String, _ reason: String) {
    #expect(throws: WorkItemError(reason)) { try WorkItem(parsing: Array(raw.utf8)) }
  }

  @Test func whatCannotBeReadIsKeptWithTheSameReason() async throws {
    let bench = try await Bench()
    for (raw, _) in Self.unreadable { try await bench.push(raw, .hybrid) }
    // Bytes that are no text at all.
    let bytes = Array(#"{"agent_id":"a","x":""#.utf8) + [0xFF, 0xC0] + Array(#""}"#.utf8)
    _ = try await bench.plain.command(["LPUSH", RedisArgument(Pool.hybrid.list), RedisArgument(bytes)])
    #expect(try await bench.claim([.hybrid]) == .empty)
    let dead = try await bench.queue.dead()
    #expect(dead.count == Self.unreadable.count + 1)
    for (raw, reason) in Self.unreadable {
      let letter = dead.first { $0.raw == Array(raw.utf8) }
      #expect(letter?.reason == reason)
      #expect(letter?.pool == .hybrid)
      #expect((letter?.time ?? 0) > 1_700_000_000)
    }
    #expect(dead.first { $0.raw == bytes }?.reason == "the work item is not JSON")
    #expect(try await bench.queue.status().leased == 0)
  }

  @Test func itemsAreReadLeniently() throws {
    func read(_ json: String, _ pool: Pool = .notification) throws -> WorkItem {
      try WorkItem(parsing: Array(json.utf8), pool: pool)
    }
    #expect(try read(#"{"agent_id":"a","task_type":"inbox"}"#).taskType == .notification)
    #expect(try read(#"{"agent_id":"a","task_type":"discovery"}"#).taskType == .exploration)
    #expect(try read(#"{"agent_id":"a"}"#, .exploration).taskType == .exploration)
    #expect(try read(#"{"agent_id":"a"}"#, .hybrid).taskType == .notification)
    #expect(try read(#"{"agent_id":"a","created_at":1.5,"attempt":2.0,"priority":null}"#).createdAt == 1.5)
    #expect(try read(#"{"agent_id":"a","created_at":"2024-02-29T12:00:00.5+01:00"}"#).createdAt == 1_709_204_400.5)
    #expect(try read(#"{"agent_id":"a","created_at":"1970-01-01T00:00:00"}"#).createdAt == 0)
    let item = WorkItem(
      activationID: "i", agentID: "a", agentName: "A", taskType: .exploration, notificationIDs: ["n"], postID: "p",
      priority: .high, createdAt: 3, attempt: 1)
    #expect(try WorkItem(parsing: item.encoded()) == item)
  }
}
