import Glibc
import Linux
import Parts

/// What came of one blow. Seconds are counted from the signal.
struct Trial: Sendable {
  var blow: Blow
  /// Until the next one took the lock.
  var taken: Double
  /// Until the next one's first write.
  var written: Double
  /// Whether the stopped one tried to write when it woke, and was refused.
  var triedToWrite = false
}

extension Ensemble {
  /// Hits the leader and waits for the next one's first write; afterwards everybody runs again.
  func deal(_ blow: Blow, _ chance: inout SeededChance, began: ContinuousClock.Instant) async throws -> Trial {
    // At any moment between two renewals of the lock, which are 3 s apart.
    _ = try await leader()
    try await Task.sleep(for: .seconds(3.3 * chance.share()))
    let (part, term) = try await leader()
    let trial: Trial
    switch blow {
    case .killed, .ended: trial = try await end(part, term, blow, began)
    case .stopped: trial = try await stop(part, term, &chance, began)
    }
    try await readInboxes()
    return trial
  }

  private func end(_ part: Part, _ term: Ledger.Term, _ blow: Blow, _ began: ContinuousClock.Instant) async throws
    -> Trial
  {
    part.isDoomed = true
    let hit = (ContinuousClock.now - began) / .seconds(1)
    try part.signal(blow == .killed ? SIGKILL : SIGTERM)
    // Work for the next one, once the last one can't take it any more.
    if blow == .ended {
      try await until("the lock is given up", within: .seconds(40), every: .milliseconds(1)) {
        self.look { $0.holder != term.fence }
      }
    }
    try await mention([Self.agents[0]])
    let trial = try await written(after: term, blow, hit)
    try await until("\(part.name) has ended", within: .seconds(20)) { part.handle == nil }
    try await restart(part)
    return trial
  }

  private func stop(
    _ part: Part, _ term: Ledger.Term, _ chance: inout SeededChance, _ began: ContinuousClock.Instant
  ) async throws -> Trial {
    // Some writes, one after the other; it is stopped at the first.
    let handle = part.handle
    monitor?.order { ledger in
      ledger.terms.last.map { $0.epoch == term.epoch && $0.writes > term.writes } ?? false
    } _: {
      try handle?.signal(SIGSTOP)
    }
    try await mention(Self.agents)
    var hit: Double?
    try await until("the leader is at work", within: .seconds(10)) {
      hit = self.monitor?.orderTime
      return hit != nil
    }
    guard let hit else { throw FailoverError("nobody was stopped") }
    let isOver = ContinuousClock.now + FailoverOptions.lockTime + .seconds(1 + 2 * chance.share())
    try await mention([Self.agents[0]])
    var trial = try await written(after: term, .stopped, hit)
    try await Task.sleep(until: isOver)
    try part.signal(SIGCONT)
    try await until("the one that was stopped finds that another leads", within: .seconds(20)) {
      self.refused(term) > 0
    }
    // It may still have some to try.
    try await Task.sleep(for: .milliseconds(500))
    trial.triedToWrite = look { ledger in
      ledger.terms.contains { $0.fence == term.fence && $0.refusedWrites > 0 }
    }
    return trial
  }

  private func refused(_ term: Ledger.Term) -> Int {
    look { ledger in ledger.terms.last { $0.fence == term.fence }?.refused ?? 0 }
  }

  private func written(after term: Ledger.Term, _ blow: Blow, _ hit: Double) async throws -> Trial {
    var trial: Trial?
    try await until("another writes", within: .seconds(40)) {
      guard let next = self.look({ ledger in ledger.terms.first { $0.epoch > term.epoch } }),
        let first = next.firstWrite
      else { return false }
      trial = Trial(blow: blow, taken: next.taken - hit, written: first - hit)
      return true
    }
    guard let trial else { throw FailoverError("\(name): nobody wrote") }
    return trial
  }
}
