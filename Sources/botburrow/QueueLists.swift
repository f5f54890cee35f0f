import ArgumentParser
import JSON
import Work

/// `botburrow queue list`
struct QueueList: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "list", abstract: "List items that wait or run.",
    discussion: """
      States: queued (in a pool's list, the next one first), leased (runs), retry (waits for its next attempt), parked \
      (waits for its agent), outbox (over for its agent; the Hub has not taken its answer yet). TIME is the lease's end, \
      the next attempt's or delivery's, or when it was parked. Dead letters have a list \
      of their own: 'botburrow queue dead'.

      Example: botburrow queue list --state retry
      """)
  @Option(help: "queued, leased, retry, parked or outbox; without it all of them.") var state: WorkState?
  @Option(help: "notification, exploration or hybrid; without it all pools.") var pool: Pool?
  @Option(help: "How many of each state, and of each list.") var limit = 100
  @OptionGroup var options: QueueOptions

  func validate() throws {
    if state == .dead { throw ValidationError("dead letters are shown by 'botburrow queue dead'") }
    if state == .merged {
      throw ValidationError("merged items are shown with their activation: 'botburrow queue show ID'")
    }
    if state == .done { throw ValidationError("of what is done only ids are kept: 'botburrow queue show ID'") }
    guard (1...10_000).contains(limit) else { throw ValidationError("--limit is from 1 to 10000") }
  }

  func run() throws {
    let states: [WorkState] = state.map { [$0] } ?? [.leased, .queued, .retry, .parked, .outbox]
    let (pool, limit) = (pool, limit)
    let entries = try options.ask { queue in
      var all: [WorkEntry] = []
      for state in states {
        if state == .queued {
          for list in pool.map({ [$0] }) ?? Pool.allCases {
            all += try await queue.entries(.queued, pool: list, limit: limit)
          }
        } else {
          all += try await queue.entries(state, limit: limit).filter { pool == nil || $0.pool == pool }
        }
      }
      return all
    }
    try options.show(.array(entries.map(QueueText.json))) {
      let rows = entries.map { entry in
        [
          entry.state.rawValue, entry.pool?.rawValue ?? "-", QueueText.safe(entry.id.isEmpty ? "-" : entry.id),
          QueueText.safe(entry.agentID.isEmpty ? "-" : entry.agentID), "\(entry.attempt)",
          entry.time.map(QueueText.time) ?? "-", QueueText.safe(entry.runner.isEmpty ? entry.reason : entry.runner),
        ]
      }
      if rows.isEmpty { return print("nothing waits or runs") }
      Table.show([["STATE", "POOL", "ID", "AGENT", "ATTEMPT", "TIME", "RUNNER OR REASON"]] + rows)
    }
  }
}

extension WorkState: ExpressibleByArgument {}

/// `botburrow queue show`
struct QueueShow: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "show", abstract: "Show all that is known of one item.",
    discussion: """
      Its state, its attempts (when, which runner, why it failed: the last 20), the items that are done with it, and its bytes as \
      they came.

      Exit code: 0; 2 where no item has this id.
      """)
  @Argument(help: "The activation's id, or a dead letter's.") var id: String
  @OptionGroup var options: QueueOptions

  func run() throws {
    let id = id
    guard let entry = try options.ask({ try await $0.entry(id) }) else {
      complain("nothing is known of '\(QueueText.safe(id))'; 'botburrow queue list' and 'queue dead' show ids")
      throw ExitCode(2)
    }
    try options.show(QueueText.json(entry)) {
      let rows = [
        ("state", entry.state.rawValue), ("pool", entry.pool?.rawValue ?? ""), ("agent", entry.agentID),
        ("attempt", "\(entry.attempt)"), ("runner", entry.runner), ("time", entry.time.map(QueueText.time) ?? ""),
        ("reason", entry.reason), ("merged", entry.merged.joined(separator: " ")),
        ("item", String(decoding: entry.raw, as: UTF8.self)),
      ]
      for (name, value) in rows where !value.isEmpty { print("\(name.padded(to: 8))  \(QueueText.safe(value))") }
      for past in entry.history {
        let begun = past.claimed.map(QueueText.time) ?? "-"
        print(
          "failed    \(begun) to \(QueueText.time(past.ended)), \(QueueText.safe(past.runner)): \(QueueText.safe(past.reason))"
        )
      }
    }
  }
}

/// `botburrow queue dead`
struct QueueDead: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "dead", abstract: "List dead letters, the newest first: what could not be read, or failed too often.",
    discussion: """
      'botburrow queue show ID' tells each attempt: when, which runner, why it failed; --json tells them here. 'botburrow queue \
      retry ID' tries one again, 'botburrow queue purge ID --yes' throws it away.
      """)
  @Option(help: "How many.") var limit = 100
  @OptionGroup var options: QueueOptions

  func validate() throws {
    guard (1...10_000).contains(limit) else { throw ValidationError("--limit is from 1 to 10000") }
  }

  func run() throws {
    let limit = limit
    let letters = try options.ask { try await $0.dead(limit: limit) }
    try options.show(.array(letters.map(QueueText.json))) {
      if letters.isEmpty { return print("no dead letters") }
      Table.show(
        [["TIME", "ID", "POOL", "AGENT", "ATTEMPTS", "REASON"]]
          + letters.map { letter in
            [
              QueueText.time(letter.time), QueueText.safe(letter.id), letter.pool?.rawValue ?? "-",
              letter.agentID.isEmpty ? "-" : QueueText.safe(letter.agentID), "\(letter.attempt)",
              QueueText.safe(letter.reason),
            ]
          })
    }
  }
}
