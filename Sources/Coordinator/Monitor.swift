import Work

/// What the monitor looks at, of one moment. Moments are seconds since 1970 by the server's clock.
public struct Fleet: Sendable, Hashable {
  /// The moment.
  public var now: Double
  /// Runner processes that are there, and those that were lost of late.
  public var runners: [RunnerEntry]
  /// What runs.
  public var activations: [RunningActivation]
  /// Items in the lists that aren't paused.
  public var waiting: [Pool: Int]
  /// A value as given.
  public init(now: Double, runners: [RunnerEntry], activations: [RunningActivation], waiting: [Pool: Int]) {
    self.now = now
    self.runners = runners
    self.activations = activations
    self.waiting = waiting
  }
}

/// Something that an operator should know of.
public struct Alert: Sendable, Hashable {
  /// What kind of thing.
  public enum Kind: String, Sendable, Hashable, CaseIterable {
    /// A runner process went without a goodbye.
    case lost
    /// An activation's lease is kept, and nothing happens in it.
    case stuck
    /// An activation has used most of its time.
    case slow
    /// Work waits in a list that no runner serves.
    case unserved
  }
  /// What kind of thing.
  public var kind: Kind
  /// A runner's id, an activation's, or a pool.
  public var subject: String
  /// What is known of it, for the log.
  public var details: [String: String] = [:]

  /// The same as long as it is the same occurrence.
  public var key: String { "\(kind.rawValue):\(subject)" }

  /// How long it must last until it is told: runners that come back after Redis was away, and those of a system that is
  /// being started, are no news.
  public var patience: Duration {
    switch kind {
    case .lost: .seconds(10)
    case .unserved: .seconds(30)
    case .stuck, .slow: .zero
    }
  }
}

/// The share of its time limit after which an activation is slow.
public let slowShare = 0.8

/// What is wrong. Pure.
/// - Parameter stuckAfter: seconds without activity after which an activation is stuck.
public func alerts(_ fleet: Fleet, stuckAfter: Double) -> [Alert] {
  var found = fleet.runners.filter { $0.state == .lost }.map { runner in
    Alert(
      kind: .lost, subject: runner.identity.id,
      details: [
        "host": runner.identity.host, "pool": runner.identity.pool.rawValue,
        "seconds": whole(fleet.now - runner.lastSeen),
      ])
  }
  // Whose lease has run out is about to be put back: it is neither.
  for activation in fleet.activations where activation.leaseEnd > fleet.now {
    let idle = fleet.now - activation.lastActive
    if idle >= stuckAfter {
      found.append(activation.alert(.stuck, seconds: idle))
    }
    let ran = fleet.now - activation.stepSince
    if let limit = activation.timeLimit, activation.step == .run, ran >= limit * slowShare {
      found.append(activation.alert(.slow, seconds: ran))
    }
  }
  let served = Set(fleet.runners.filter { $0.state == .serving }.flatMap { $0.identity.pool.served })
  for pool in Pool.allCases where (fleet.waiting[pool] ?? 0) > 0 && !served.contains(pool) {
    found.append(
      Alert(kind: .unserved, subject: pool.rawValue, details: ["queued": "\(fleet.waiting[pool] ?? 0)"]))
  }
  return found
}

extension RunningActivation {
  fileprivate func alert(_ kind: Alert.Kind, seconds: Double) -> Alert {
    var details = [
      "agent_id": agentID, "runner": runner, "step": step?.rawValue ?? "claimed", "seconds": whole(seconds),
      "tokens": "\(tokens)",
    ]
    if kind == .slow { details["time_limit"] = timeLimit.map(whole) }
    return Alert(kind: kind, subject: id, details: details)
  }
}

private func whole(_ seconds: Double) -> String { "\(Int(max(0, seconds)))" }
