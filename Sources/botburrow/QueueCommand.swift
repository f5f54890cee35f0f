import ArgumentParser
import Configuration
import Glibc
import JSON
import Observe
import Redis
import Work

/// `botburrow queue …`
struct QueueCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "queue",
    abstract: "Look at the work that waits, runs and failed; stop it, let it go on, try it again, throw it away.",
    discussion: """
      What runs now:            botburrow queue status
      Why did it fail:          botburrow queue dead
      Try it again:             botburrow queue retry ID
      Before maintenance:       botburrow queue drain && …; botburrow queue resume

      Redis is the one of the configuration file (redis.url), or of --redis.
      """,
    subcommands: [
      QueueStatus.self, QueueList.self, QueueShow.self, QueueDead.self, QueueRetry.self, QueuePurge.self,
      QueuePause.self, QueueResume.self, QueueDrain.self,
    ])
}

/// Which Redis, and how to show.
struct QueueOptions: ParsableArguments {
  @Option(name: .shortAndLong, help: "The configuration file.") var config: String?
  @Option(
    help:
      "Redis: redis://host:port/db, unix:///path or redis-sentinel://host:port/name; instead of the file's redis.url, and then no file is read."
  )
  var redis: String?
  @Flag(help: "Print JSON instead of text.") var json = false

  /// Asks the queue; an error of Redis reads as one sentence.
  func ask<Value: Sendable>(_ body: @escaping @Sendable (WorkQueue) async throws -> Value) throws -> Value {
    let queue = try open()
    defer { queue.close() }
    return try blocking { try await body(queue) }
  }

  /// The queue, to be closed.
  func open() throws -> WorkQueue {
    var configuration = Configuration()
    if let redis {
      configuration.redisURL = redis
    } else {
      configuration = try SettingsOptions.file(config, parts: ["redis", "work"])
    }
    return WorkQueue(try configuration.makeRedisURL(for: "queue"), options: configuration.queueOptions)
  }

  /// Activations that one runner of a pool runs at once.
  func slots() throws -> @Sendable (Pool) -> Int {
    let runners = redis == nil ? try SettingsOptions.file(config, parts: ["runners"]).runners : [:]
    return { runners[$0.rawValue]?.maxActivations ?? Configuration.RunnerPool().maxActivations }
  }

  /// Prints JSON or what `text` prints.
  func show(_ value: JSONValue, _ text: () -> Void) throws {
    if json { print(try JSON.text(value, pretty: true)) } else { text() }
  }
}

/// `botburrow queue status`
struct QueueStatus: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "status", abstract: "Show how much waits and runs, what is paused, and who leads.",
    discussion: """
      All figures are of one moment. WANTED is how many runners the pool's work keeps busy: what is queued, runs, is parked or is \
      to be retried now, by runners.<pool>.max_activations of the configuration file (10 with --redis). 'wanted_runners' in the \
      JSON is the same, for an autoscaler.

      An agent that failed again and again rests; its work waits, as that of a paused agent does. 'botburrow queue resume --agent \
      ID' ends both.

      Exit code: 0; 1 where Redis can't be asked.
      """)
  @OptionGroup var options: QueueOptions

  func run() throws {
    let slots = try options.slots()
    let status = try options.ask { try await $0.status() }
    try options.show(QueueText.json(status, slots: slots)) {
      Table.show(QueueText.pools(status, slots: slots))
      print()
      for line in QueueText.lines(status) { print(line) }
    }
  }
}

/// What the queue's commands say.
enum QueueText {
  static func pools(_ status: WorkStatus, slots: (Pool) -> Int) -> [[String]] {
    [["POOL", "QUEUED", "RUNNING", "PARKED", "WANTED", "STATE"]]
      + Pool.allCases.map { pool in
        let part = status.pools[pool]
        let isPaused = status.isPaused || part?.isPaused == true
        return [
          pool.rawValue, "\(part?.queued ?? 0)", "\(part?.leased ?? 0)", "\(part?.parked ?? 0)",
          "\(part?.wantedRunners(slots: slots(pool)) ?? 0)", isPaused ? "paused" : "open",
        ]
      }
  }

  static func lines(_ status: WorkStatus) -> [String] {
    let counts = status.counts.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }
    return [
      "parked \(status.parked), retries \(status.retries), dead \(status.dead), overdue explorations \(status.stalenessDebt)",
      status.outbox == 0
        ? "the outbox is empty: the Hub has every answer"
        : "outbox \(status.outbox), the oldest for \(Int(status.outboxAge)) s: what the Hub has not taken yet",
      status.leader.map { "leader \($0)" } ?? "nobody leads: is a coordinator running?",
      counts.isEmpty ? "nothing was counted yet" : "since the beginning: " + counts.joined(separator: ", "),
    ] + breakers(status) + pauses(status)
      + (status.isPaused ? ["the whole system is paused; 'botburrow queue resume' lets it go on"] : [])
  }

  /// Agents whose circuit breaker is not closed.
  private static func breakers(_ status: WorkStatus) -> [String] {
    guard status.resting + status.onTrial > 0 else { return [] }
    let first = status.firstResting.map {
      "  \(safe($0.agentID)): \($0.failures) failures in a row, rests until \(time($0.until))"
    }
    let more = status.resting - first.count
    return ["agents that rest \(status.resting), on trial \(status.onTrial)"] + first
      + (more > 0 ? ["  and \(more) more"] : [])
  }

  static func json(_ status: WorkStatus, slots: (Pool) -> Int) -> JSONValue {
    var pools: [String: JSONValue] = [:]
    for (pool, part) in status.pools {
      pools[pool.rawValue] = [
        "queued": .integer(Int64(part.queued)), "leased": .integer(Int64(part.leased)), "paused": .bool(part.isPaused),
        "parked": .integer(Int64(part.parked)), "due_retries": .integer(Int64(part.dueRetries)),
        "slots": .integer(Int64(slots(pool))),
        "wanted_runners": .integer(Int64(part.wantedRunners(slots: slots(pool)))),
      ]
    }
    return [
      "pools": .object(pools), "paused": .bool(status.isPaused), "leased": .integer(Int64(status.leased)),
      "parked": .integer(Int64(status.parked)), "retries": .integer(Int64(status.retries)),
      "dead": .integer(Int64(status.dead)), "staleness_debt": .integer(Int64(status.stalenessDebt)),
      "outbox": ["waiting": .integer(Int64(status.outbox)), "oldest_seconds": .number(status.outboxAge)],
      "paused_agents": [
        "count": .integer(Int64(status.pausedAgents)),
        "first": .array(
          status.firstPausedAgents.map { ["agent_id": .string($0.id), "since": .string(time($0.time))] }),
      ],
      "paused_runners": [
        "count": .integer(Int64(status.pausedRunners)),
        "first": .array(
          status.firstPausedRunners.map { ["runner": .string($0.id), "seen": .string(time($0.time))] }),
      ],
      "leader": status.leader.map { .string($0) } ?? .null,
      "breakers": [
        "open": .integer(Int64(status.resting)), "half_open": .integer(Int64(status.onTrial)),
        "first": .array(
          status.firstResting.map {
            [
              "agent_id": .string($0.agentID), "until": .string(time($0.until)),
              "failures": .integer(Int64($0.failures)),
            ]
          }),
      ],
      "counts": .object(status.counts.mapValues { .integer(Int64($0)) }),
    ]
  }

  static func json(_ entry: WorkEntry) -> JSONValue {
    [
      "id": .string(entry.id), "state": .string(entry.state.rawValue),
      "pool": entry.pool.map { .string($0.rawValue) } ?? .null, "agent_id": .string(entry.agentID),
      "attempt": .integer(Int64(entry.attempt)), "runner": .string(entry.runner), "reason": .string(entry.reason),
      "time": entry.time.map { .string(time($0)) } ?? .null,
      "history": json(entry.history), "merged": .array(entry.merged.map { .string($0) }),
      "raw": .string(String(decoding: entry.raw, as: UTF8.self)),
    ]
  }

  static func json(_ letter: DeadLetter) -> JSONValue {
    [
      "id": .string(letter.id), "pool": letter.pool.map { .string($0.rawValue) } ?? .null,
      "agent_id": .string(letter.agentID), "attempt": .integer(Int64(letter.attempt)),
      "reason": .string(letter.reason), "time": .string(time(letter.time)),
      "history": json(letter.history), "merged": .array(letter.merged.map { .string($0) }),
      "raw": .string(String(decoding: letter.raw, as: UTF8.self)),
    ]
  }

  private static func json(_ history: [FailedAttempt]) -> JSONValue {
    .array(
      history.map {
        [
          "claimed": $0.claimed.map { .string(time($0)) } ?? .null, "ended": .string(time($0.ended)),
          "runner": .string($0.runner), "reason": .string($0.reason),
        ]
      })
  }

  static func time(_ seconds: Double) -> String { Timestamp.text(Int64(seconds * 1_000_000)) }

  /// Bytes of others, on a terminal: without control characters.
  static func safe(_ text: String) -> String {
    String(String.UnicodeScalarView(text.unicodeScalars.map { $0.properties.generalCategory == .control ? "?" : $0 }))
  }
}
