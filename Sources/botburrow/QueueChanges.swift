import ArgumentParser
import JSON
import Work

/// `botburrow queue retry`
struct QueueRetry: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "retry", abstract: "Try dead letters again from their first attempt, or a waiting retry now.",
    discussion: """
      They go to the head of their list, with the same activation id.

      Exit code: 0 all are queued; 1 some are not, and why; nothing of those was changed.
      """)
  @Argument(help: "Ids, as 'botburrow queue dead' shows them.") var ids: [String] = []
  @Flag(help: "All dead letters that can be read.") var all = false
  @OptionGroup var options: QueueOptions

  func validate() throws {
    if all != ids.isEmpty { throw ValidationError("give ids, or --all for all dead letters that can be read") }
  }

  func run() throws {
    let (ids, all) = (ids, all)
    let outcomes = try options.ask { queue in
      var named = ids
      if all {
        // The newest first: each goes to the head, so that the oldest is there in the end.
        named = try await queue.dead(limit: max(1, try await queue.status().dead)).map(\.id)
      }
      var outcomes: [(id: String, outcome: ReplayOutcome)] = []
      for id in named { outcomes.append((id, try await queue.replay(id))) }
      return outcomes
    }
    // Of all, those that can't be read were not asked for.
    let failed = outcomes.filter { $0.outcome != .queued && !(all && $0.outcome == .unreadable) }
    let rows: [JSONValue] = outcomes.map {
      ["id": .string($0.id), "outcome": .string($0.outcome.rawValue)] as JSONValue
    }
    try options.show(.array(rows)) {
      for (id, outcome) in outcomes { print("\(QueueText.safe(id))  \(Self.words(outcome))") }
      if outcomes.isEmpty { print("no dead letters") }
    }
    if !failed.isEmpty { throw ExitCode.failure }
  }

  private static func words(_ outcome: ReplayOutcome) -> String {
    switch outcome {
    case .queued: "queued"
    case .unreadable: "left: its bytes can't be read, it would be dead again at once; see 'botburrow queue show'"
    case .known: "left: it runs, waits or is done already"
    case .unknown: "left: no dead letter and no waiting retry has this id"
    }
  }
}

/// `botburrow queue purge`
struct QueuePurge: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "purge", abstract: "Throw dead letters or a pool's waiting items away.",
    discussion: """
      What is thrown away can't be had back, and is not queued again by itself: its notifications stay unread in the Hub. \
      What runs, is parked or waits for its next attempt stays. Without --yes nothing is changed, and the exit code is 1.

      Examples:
        botburrow queue purge ID --yes
        botburrow queue purge --dead --yes
        botburrow queue purge --pool exploration --yes
      """)
  @Argument(help: "Ids of dead letters.") var ids: [String] = []
  @Flag(help: "All dead letters.") var dead = false
  @Option(help: "All that waits in this pool's list.") var pool: Pool?
  @Flag(help: "Yes, throw it away.") var yes = false
  @OptionGroup var options: QueueOptions

  func validate() throws {
    guard [!ids.isEmpty, dead, pool != nil].filter({ $0 }).count == 1 else {
      throw ValidationError("give one of: ids of dead letters, --dead, --pool POOL")
    }
  }

  func run() throws {
    let (ids, pool, yes) = (ids, pool, yes)
    let (found, purged) = try options.ask { queue in
      if !ids.isEmpty {
        guard yes else { return (ids.count, 0) }
        return (ids.count, try await queue.purgeDead(ids))
      }
      // No more than were there: producers go on meanwhile.
      let status = try await queue.status()
      let found = pool.map { status.pools[$0]?.queued ?? 0 } ?? status.dead
      guard yes else { return (found, 0) }
      if let pool { return (found, try await queue.purgeList(pool, atMost: found)) }
      return (found, try await queue.purgeDead(atMost: found))
    }
    let what = pool.map { "items of \($0.list)" } ?? "dead letters"
    try options.show(["found": .integer(Int64(found)), "purged": .integer(Int64(purged))]) {
      if yes { print("threw \(purged) of \(found) \(what) away") }
    }
    if !yes {
      complain("this would throw \(found) \(what) away; say --yes to do it")
      throw ExitCode.failure
    }
    // Somebody named what isn't there.
    if !ids.isEmpty, purged < found { throw ExitCode.failure }
  }
}
