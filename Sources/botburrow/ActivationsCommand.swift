import ArgumentParser
import Glibc
import JSON
import Linux
import Redis
import Synchronization
import Work

/// `botburrow activations`
struct ActivationsCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "activations",
    abstract: "List the activations that run now, in all runners, and how far each is.",
    discussion: """
      STEP is prepare (its definition, inbox and thread are read), start (its sandbox is made), run, respond (the Hub is told its \
      answer) or report (the Hub is told what a failed attempt used); claimed until its runner has told, which takes a second. SINCE \
      is how long it has been there; TOKENS are those of its model so far, at most 5 s old.

      --follow begins with what runs and then prints a line for each change, as events: began, step, tokens, ended (with what became \
      of it: done, outbox, retry, dead, queued). What begins and ends within a quarter of a second is not seen. With --json each line \
      is a JSON object. Ctrl-C ends it.

      Exit code: 0, also after Ctrl-C; 1 where Redis can't be asked; 2 where one of the ids doesn't run \
      (with --follow: doesn't run at the beginning, and nothing is followed then).
      Examples:
        botburrow activations
        botburrow activations --follow --json | jq -c 'select(.event == "ended") | [.agent_id, .state]'
      """)
  @Argument(help: "Ids of activations; without them all.") var ids: [String] = []
  @Flag(name: .shortAndLong, help: "Go on, and print changes as they happen.") var follow = false
  @OptionGroup var options: QueueOptions

  func run() throws {
    if follow { return try followChanges() }
    let ids = ids
    let list = try options.ask { try await $0.running(ids) }
    try options.show(.array(list.activations.map { .object(FleetText.json($0)) })) {
      if !list.activations.isEmpty { return Table.show(FleetText.rows(list)) }
      if ids.isEmpty { print("nothing runs") }
    }
    try Self.refuse(list.missing(ids))
  }

  private static func refuse(_ missing: [String]) throws {
    guard !missing.isEmpty else { return }
    complain("not running: \(QueueText.safe(missing.joined(separator: ", "))); 'botburrow queue show ID' knows more")
    throw ExitCode(2)
  }

  private func followChanges() throws {
    // Before any other thread is there to take the signal.
    let signals = try SignalWatch([SIGINT, SIGTERM])
    let queue = try options.open()
    defer { queue.close() }
    let follower = Follower(queue: queue, ids: ids, asJSON: options.json)
    let task = Task.detached { try await follower.run() }
    let missing = Mutex<[String]>([])
    try Daemon.run(signals, stop: { task.cancel() }) {
      do {
        let found = try await task.value
        missing.withLock { $0 = found }
      } catch is CancellationError {
        // Ctrl-C is how it ends.
      }
    }
    try Self.refuse(missing.withLock { $0 })
  }
}

extension RunningList {
  /// Which of these don't run, sorted.
  fileprivate func missing(_ ids: [String]) -> [String] { Set(ids).subtracting(activations.map(\.id)).sorted() }
}

/// Prints what changes, until its task is cancelled.
private struct Follower: Sendable {
  let queue: WorkQueue
  let ids: [String]
  let asJSON: Bool

  /// An operator's look: nothing tells of changes, and the few of them cost Redis little.
  private static let every = Duration.milliseconds(250)

  /// - Returns: at once those ids that don't run, where there are any; else never, but for a task that was cancelled.
  /// - Throws: `RedisError` where Redis can't be asked at the beginning, `CancellationError` at the end.
  func run() async throws -> [String] {
    var known = try await queue.running(ids)
    let missing = known.missing(ids)
    guard missing.isEmpty else { return missing }
    for change in known.changes(since: RunningList(now: known.now, activations: [])) { show(change, known.now, nil) }
    var isAway = false
    while !Task.isCancelled {
      try await Task.sleep(for: Self.every)
      do throws(RedisError) {
        known = try await next(after: known)
        if isAway { complain("Redis answers again") }
        isAway = false
      } catch {
        guard error.isTransient else { throw error }
        if !isAway { complain("\(error); it is asked again until it answers") }
        isAway = true
      }
    }
    return []
  }

  /// One more look, and what changed since the one before.
  private func next(after known: RunningList) async throws(RedisError) -> RunningList {
    let list = try await queue.running(ids)
    let changes = list.changes(since: known)
    // All is asked before anything is shown, so that nothing is shown twice where Redis goes away meanwhile.
    var states: [String: WorkState] = [:]
    for change in changes {
      if case .ended(let activation) = change { states[activation.id] = try await queue.entry(activation.id)?.state }
    }
    for change in changes { show(change, list.now, states[change.activation.id]) }
    return list
  }

  private func show(_ change: RunningChange, _ now: Double, _ state: WorkState?) {
    if asJSON {
      writeOutput(FleetText.json(change, now: now, state: state).compactText + "\n")
    } else {
      let line = QueueText.safe(FleetText.line(change, now: now, state: state))
      writeOutput("\(Style.dim(QueueText.time(now)))  \(line)\n")
    }
  }
}
