import Glibc
import Leftovers
import Linux
import Parts

/// What is done to the system.
enum Blow: String, CaseIterable, Sendable {
  case runnerKilled = "runner killed"
  case coordinatorKilled = "coordinator killed"
  case leaderKilled = "leader killed"
  case supervisorKilled = "supervisor killed"
  case agentKilled = "agent killed"
  case runnerStopped = "runner stopped"
  case runnerStoppedLong = "runner stopped beyond its lease"
  case coordinatorStopped = "coordinator stopped"
  case coordinatorStoppedLong = "coordinator stopped beyond its term"
  case redisKilled = "Redis killed"
  case redisStopped = "Redis stopped"
  case hubOut = "Hub out of reach"

  static let weights: [(Blow, Int)] = [
    (.runnerKilled, 20), (.coordinatorKilled, 6), (.leaderKilled, 6), (.supervisorKilled, 7), (.agentKilled, 30),
    (.runnerStopped, 8), (.runnerStoppedLong, 4), (.coordinatorStopped, 4), (.coordinatorStoppedLong, 4),
    (.redisKilled, 3), (.redisStopped, 3), (.hubOut, 5),
  ]
}

/// Deals blows, one after the other.
@MainActor
final class Blows {
  private let stage: Stage
  private var chance: SeededChance
  private(set) var counts: [Blow: Int] = [:]
  private var outUntil: ContinuousClock.Instant?

  init(_ stage: Stage, seed: UInt64) {
    self.stage = stage
    chance = SeededChance(seed: seed)
  }

  /// The time to the next one.
  var pause: Duration { stage.options.pause * (0.2 + 1.6 * chance.share()) }

  /// The Hub is reachable again when its time is over.
  func tend() {
    if let time = outUntil, time <= .now {
      outUntil = nil
      stage.proxy?.setOut(false)
    }
  }

  /// One, of a kind that chance picks; nothing where there is nobody to hit.
  func next() throws {
    guard let blow = chance.one(of: Blow.weights) else { return }
    if try deal(blow) { counts[blow, default: 0] += 1 }
  }

  private func deal(_ blow: Blow) throws -> Bool {
    let long = Double(stage.options.lease) + 3 + 4 * chance.share()
    let short = 0.3 + 4 * chance.share()
    switch blow {
    case .runnerKilled: return try kill(.runner)
    case .coordinatorKilled: return try kill(.coordinator)
    case .leaderKilled: return try kill(.coordinator) { self.leads($0) }
    case .supervisorKilled: return try kill(.supervisor)
    case .redisKilled: return try kill(.redis)
    case .runnerStopped: return try stop(.runner, seconds: short)
    case .runnerStoppedLong: return try stop(.runner, seconds: long)
    case .coordinatorStopped: return try stop(.coordinator, seconds: short)
    case .coordinatorStoppedLong: return try stop(.coordinator, seconds: long) { self.leads($0) }
    case .redisStopped: return try stop(.redis, seconds: short / 2)
    case .agentKilled:
      // PID 1 or its program: which one, chance says.
      let roots = stage.sandboxes()
      guard let root = roots.randomElement(using: &chance) else { return false }
      let victim = chance.share() < 0.5 ? root : Watched.children(of: root).first ?? root
      return Glibc.kill(victim, SIGKILL) == 0
    case .hubOut:
      guard outUntil == nil else { return false }
      outUntil = .now + .seconds(1 + 5 * chance.share())
      stage.proxy?.setOut(true)
      return true
    }
  }

  /// As far as its log tells: the last of both who said so.
  private func leads(_ part: Part) -> Bool {
    let said = stage.parts.filter { $0.kind == .coordinator && $0.handle != nil }.map { part -> (Part, Int64) in
      let text = (try? readFile(part.log, limit: 1 << 28)) ?? ""
      let time = text.split(separator: "\n").last { $0.contains("this coordinator leads") }
        .flatMap { LogLine(String($0))?.time }
      return (part, time ?? 0)
    }
    return said.max { $0.1 < $1.1 }?.0 === part
  }

  private func pick(_ kind: Part.Kind, _ isWanted: (Part) -> Bool) -> Part? {
    stage.parts.filter { $0.kind == kind && $0.isAwake && isWanted($0) }.randomElement(using: &chance)
  }

  private func kill(_ kind: Part.Kind, _ isWanted: (Part) -> Bool = { _ in true }) throws -> Bool {
    guard let part = pick(kind, isWanted) else { return false }
    part.isDoomed = true
    part.restartsAt = .now + .milliseconds(Int(chance.share() * 800))
    try part.signal(SIGKILL)
    return true
  }

  private func stop(_ kind: Part.Kind, seconds: Double, _ isWanted: (Part) -> Bool = { _ in true }) throws -> Bool {
    guard let part = pick(kind, isWanted) else { return false }
    part.continuesAt = .now + .seconds(seconds)
    try part.signal(SIGSTOP)
    return true
  }

  /// Everybody goes on at once.
  func heal() throws {
    outUntil = nil
    stage.proxy?.heal()
    for part in stage.parts where part.continuesAt != nil {
      part.continuesAt = nil
      try part.signal(SIGCONT)
    }
  }
}
