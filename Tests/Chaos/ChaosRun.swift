import Glibc
import JSON
import Linux
import Parts
import Redis

/// One run from its start to its verdict.
@MainActor
public final class ChaosRun {
  private let options: ChaosOptions
  private let progress: (String) -> Void
  private let stage: Stage
  private var tail: JournalTail
  private let producer: Producer
  private let blows: Blows
  private let began = ContinuousClock.now
  private var troubles: [String] = []
  private var isBreaking = false
  private var tendingFailure: (any Error)?

  /// Makes its directory and group.
  /// - Parameter progress: told of how far it is, now and then.
  public init(_ options: ChaosOptions, progress: @escaping (String) -> Void = { _ in }) throws {
    self.options = options
    self.progress = progress
    stage = try Stage(options)
    tail = JournalTail(stage.journal)
    producer = Producer(stage, seed: options.seed)
    blows = Blows(stage, seed: options.seed &+ 2)
  }

  private var judge: Judge { producer.judge }
  private var now: Double { (ContinuousClock.now - began) / .seconds(1) }

  /// Everything, with the taking down.
  public func run() async throws -> ChaosReport {
    var left: [String] = []
    var evidence: Evidence?
    var isDrained = false
    let peer = Peer(stage.redisURL)
    let peering = Task { await peer.run() }
    do {
      try await stage.start()
      let tending = Task { await tend() }
      defer { tending.cancel() }
      try await breakAndAsk()
      isDrained = try await drain()
      left += await remains()
    } catch { troubles.append("the run ended early: \(error)") }
    isBreaking = false
    peering.cancel()
    await peering.value
    let letters = await deadLetters()
    do {
      left += try await stage.end()
      try take()
      evidence = try Evidence(stage.parts)
    } catch { troubles.append("the end: \(error)") }
    let taken = await peer.taken
    var report = ChaosReport(
      options: options, judge: judge, seconds: now, left: left, broken: evidence?.broken(options) ?? [],
      troubles: troubles + stage.troubles + (isDrained ? [] : ["it did not come to rest in time"]))
    report.supervisorTroubles = evidence?.troubles ?? []
    report.most = evidence.map { Exclusion.most($0.stays) } ?? 0
    report.sandboxes = evidence?.stays.count ?? 0
    report.epochs = evidence?.leaders.count ?? 0
    report.blows = Blow.allCases.compactMap { blow in blows.counts[blow].map { (blow.rawValue, $0) } }
    report.faults = stage.proxy?.counts ?? []
    report.made = producer.counts.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
    report.deadLetters = letters
    report.poison = producer.counts["poison"] ?? 0
    report.judgePeer(
      pushed: producer.peerItems, taken: taken, kills: blows.counts[.redisKilled] ?? 0)
    report.logs = try stage.clear(keepingLogs: !report.isGood)
    return report
  }

  /// Work and blows, until all of the work is made.
  private func breakAndAsk() async throws {
    var nextItem = ContinuousClock.now
    var nextLine = ContinuousClock.now
    isBreaking = true
    while judge.items < options.items {
      try await read()
      if let tendingFailure { throw tendingFailure }
      let now = ContinuousClock.now
      if now >= nextItem, judge.waiting.count < 2 * options.agents {
        try await producer.next { self.now }
        nextItem = max(nextItem + .seconds(1 / options.rate), now - .seconds(1))
      }
      if now >= nextLine {
        progress(
          "items \(judge.items) of \(options.items), \(judge.waiting.count) wait, \(total) blows, \(Int(self.now)) s")
        nextLine = now + .milliseconds(500)
      }
      try await Task.sleep(for: .milliseconds(10))
    }
    isBreaking = false
    try blows.heal()
  }

  /// Beside everything else, for whoever makes work may wait for somebody who must first be started again.
  private func tend() async {
    var nextBlow = ContinuousClock.now + .seconds(1)
    while !Task.isCancelled {
      do {
        try stage.tend()
        blows.tend()
        if isBreaking, ContinuousClock.now >= nextBlow {
          try blows.next()
          nextBlow = .now + blows.pause
        }
        try await Task.sleep(for: .milliseconds(10))
      } catch is CancellationError { return } catch {
        tendingFailure = error
        return
      }
    }
  }

  private var total: Int { blows.counts.values.reduce(0, +) }

  /// What the Hub has heard since.
  private func read() async throws {
    for change in try take() {
      for notification in change["notifications"]?.array ?? [] {
        if let id = notification["id"]?.string, let post = notification["post_id"]?.string,
          let agent = notification["agent_id"]?.string
        {
          await producer.heard(notification: id, post: post, agent: agent)
        }
      }
    }
  }

  @discardableResult
  private func take() throws -> [JSONValue] {
    let changes = try tail.next()
    for change in changes {
      if let comment = change["post"], let parent = comment["parent_id"]?.string,
        let author = comment["author"]?["id"]?.string
      {
        producer.judge.answer(Question(post: parent, agent: author), id: comment["id"]?.string ?? "", at: now)
      }
    }
    return changes
  }

  /// Nothing is broken any more: waits until all are answered and nobody has anything to do. What Redis says ends the
  /// waiting; it is no evidence.
  private func drain() async throws -> Bool {
    let deadline = ContinuousClock.now + options.patience
    while ContinuousClock.now < deadline {
      try await read()
      if let tendingFailure { throw tendingFailure }
      progress("at rest? \(judge.waiting.count) wait, \(Int(now)) s")
      if judge.waiting.isEmpty, await isIdle() {
        // What was under way when it was looked at has been written by now.
        try await Task.sleep(for: .milliseconds(200))
        try await read()
        return true
      }
      try await Task.sleep(for: .milliseconds(50))
    }
    return false
  }

  private func isIdle() async -> Bool {
    for command: [RedisArgument] in [
      ["LLEN", RedisArgument(Stage.list)], ["LLEN", RedisArgument(Stage.peerList)], ["ZCARD", "botburrow:leases"],
      ["ZCARD", "botburrow:retries"], ["ZCARD", "botburrow:parked"], ["ZCARD", "botburrow:outbox"],
    ] {
      guard let count = try? await stage.redis(command).integer, count == 0 else { return false }
    }
    return true
  }

  private func deadLetters() async -> Int? { try? await stage.redis(["LLEN", "botburrow:dead"]).integer }

  /// What supervisors have while nothing runs, beyond what one has that never ran anything.
  private func remains() async -> [String] {
    var left: [String] = []
    for part in stage.parts where part.kind == .supervisor {
      do {
        guard let idle = stage.idle else {
          left.append("\(part.name): nobody knows what it had before anything ran")
          continue
        }
        var now = try await stage.settled(part)
        // Files, descriptors and threads come with the first sandbox, once for all.
        (now.files, now.descriptors, now.threads) = (0, 0, 0)
        left += now.beyond(idle).map { "\(part.name), at rest: \($0)" }
      } catch { left.append("\(part.name) can't be looked at: \(error)") }
    }
    return left
  }
}
