import Configuration
import Coordinator
import Testing

@testable import Work

@Suite struct AssignmentTests {
  private func pool(_ queued: Int, _ leased: Int) -> WorkStatus.PoolStatus {
    WorkStatus.PoolStatus(queued: queued, leased: leased, isPaused: false)
  }
  private func status(_ pools: [Pool: WorkStatus.PoolStatus]) -> WorkStatus {
    WorkStatus(
      pools: pools, leased: 0, parked: 0, retries: 0, dead: 0, outbox: 0, outboxAge: 0, stalenessDebt: 0, leader: nil,
      isPaused: false,
      counts: [:])
  }

  @Test func aFreeSlotOfTheOwnPoolComesBeforeTheHybridOnes() {
    var rooms: [Pool: PoolRoom] = [
      .notification: PoolRoom(slots: 2, taken: 1), .hybrid: PoolRoom(slots: 2, taken: 0),
      .exploration: PoolRoom(slots: 1, taken: 0),
    ]
    // One free slot of its own, two of the hybrid runners, then it waits in its own list.
    let pools = (0..<5).map { _ in assign(.notification, rooms: &rooms) }
    #expect(pools == [.notification, .hybrid, .hybrid, .notification, .notification])
    #expect(assign(.exploration, rooms: &rooms) == .exploration)
    #expect(rooms[.notification]?.taken == 4)
  }

  @Test func aPoolWithoutRunnersIsServedByTheHybridOne() {
    var rooms: [Pool: PoolRoom] = [.notification: PoolRoom(slots: 0), .hybrid: PoolRoom(slots: 1)]
    #expect(assign(.notification, rooms: &rooms) == .hybrid)
    // Hybrid runners serve its list as well, in turn with theirs.
    #expect(assign(.notification, rooms: &rooms) == .notification)
    var nobody: [Pool: PoolRoom] = [:]
    #expect(assign(.exploration, rooms: &nobody) == .exploration)
  }

  @Test func roomIsWhatNeitherRunsNorWaits() {
    let found = rooms(
      status([.notification: pool(3, 4), .exploration: pool(0, 7), .hybrid: pool(1, 2)]),
      slots: [.notification: 10, .exploration: 5, .hybrid: 8])
    #expect(found[.notification] == PoolRoom(slots: 10, taken: 7))
    #expect(found[.exploration] == PoolRoom(slots: 5, taken: 7))
    // Two of the explorations must run in hybrid runners.
    #expect(found[.hybrid] == PoolRoom(slots: 8, taken: 5))
  }

  @Test func slotsByTheConfiguration() {
    #expect(
      slots(["hybrid": Configuration.RunnerPool(replicas: 3, maxActivations: 4)])
        == [.notification: 0, .exploration: 0, .hybrid: 12])
    #expect(slots([:]) == [.notification: 10, .exploration: 10, .hybrid: 10])
  }
}
