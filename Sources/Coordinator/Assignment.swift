import Configuration
import Work

/// How much of a pool is free.
public struct PoolRoom: Sendable, Hashable {
  /// Activations that its runners run at once.
  public var slots: Int
  /// Those that run, and items that wait in its list.
  public var taken: Int
  /// A value as given.
  public init(slots: Int, taken: Int = 0) {
    self.slots = slots
    self.taken = taken
  }
  var isFree: Bool { taken < slots }
}

/// What each pool has room for. A slot of a hybrid runner that works on another pool's list is not free for the hybrid list.
/// - Parameters:
///   - slots: of its runners, by pool.
public func rooms(_ status: WorkStatus, slots: [Pool: Int]) -> [Pool: PoolRoom] {
  var rooms: [Pool: PoolRoom] = [:]
  var overflow = 0
  for pool in Pool.allCases {
    let (has, part) = (slots[pool] ?? 0, status.pools[pool])
    let leased = part?.leased ?? 0
    if pool != .hybrid { overflow += max(0, leased - has) }
    rooms[pool] = PoolRoom(slots: has, taken: leased + (part?.queued ?? 0))
  }
  rooms[.hybrid]?.taken += overflow
  return rooms
}

/// Slots of the runners that take work now; nil where none does.
public func slots(_ runners: [RunnerEntry]) -> [Pool: Int]? {
  let serving = runners.filter { $0.state == .serving }
  if serving.isEmpty { return nil }
  var slots = Dictionary(uniqueKeysWithValues: Pool.allCases.map { ($0, 0) })
  for runner in serving { slots[runner.identity.pool, default: 0] += runner.identity.slots }
  return slots
}

/// Slots as the configuration counts them, for where no runner takes work. A file that names no pools means one runner of each.
public func slots(_ runners: [String: Configuration.RunnerPool]) -> [Pool: Int] {
  var slots: [Pool: Int] = [:]
  for pool in Pool.allCases {
    let runner = runners.isEmpty ? Configuration.RunnerPool() : runners[pool.rawValue]
    slots[pool] = runner.map { $0.replicas * $0.maxActivations } ?? 0
  }
  return slots
}

/// The pool whose list gets a task, and takes its room: the task's own where that has a free slot, else the hybrid one where that
/// has; else the task's own, because hybrid runners serve that list too, by turns.
public func assign(_ task: TaskType, rooms: inout [Pool: PoolRoom]) -> Pool {
  let own: Pool = task == .notification ? .notification : .exploration
  let pool = [own, .hybrid].first { rooms[$0]?.isFree == true } ?? own
  rooms[pool]?.taken += 1
  return pool
}
