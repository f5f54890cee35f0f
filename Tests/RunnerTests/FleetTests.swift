import Redis
import Synchronization
import TestSupport
import Testing
import Work

@testable import Runner

@Suite struct FleetTests {
  @Test(arguments: [(0, 1.0, 1.0), (1, 1, 1), (2, 1, 3), (4, 2, 6), (10, 5, 15), (500, 5, 15)])
  func eachOfManyLooksLessOften(_ runners: Int, _ least: Double, _ most: Double) {
    let fleet = Fleet()
    #expect(fleet.pause(.seconds(1), longest: 1.5, chance: 1) == .seconds(1))
    fleet.note(runners: runners)
    #expect(fleet.pause(.seconds(1), longest: 1.5, chance: 0) == .seconds(least))
    #expect(fleet.pause(.seconds(1), longest: 1.5, chance: 1) == .seconds(most))
    #expect(fleet.pause(.seconds(1), longest: 1, chance: 1) == max(.seconds(1), .seconds(most / 1.5)))
    // What is rare anyway does not become more frequent.
    #expect(fleet.pause(.seconds(60), longest: 1.5, chance: 0) == .seconds(60))
  }

  @Test func aRunnerHearsOfTheOthersAndLooksLessOften() async throws {
    let world = try World(FakeLauncher(says: "x"))
    var services = world.services
    let pauses = Mutex<[Duration]>([])
    services.time = RunnerTime(
      wallClock: services.time.wallClock,
      sleep: { duration in
        pauses.withLock { $0.append(duration) }
        try await Task.sleep(for: .milliseconds(10))
      })
    let running = try await Running(world)
    var options = RunnerService.Options(pool: .notification, maxActivations: 1, globalCap: 9, runnerID: "r")
    options.recoverEvery = .seconds(2)
    options.deliverEvery = .milliseconds(100)
    let service = RunnerService(queue: running.queue, services: services, options: options)
    let task = Task { await service.run() }
    func count(_ range: ClosedRange<Double>) -> Int {
      pauses.withLock { $0.count { range.contains($0 / .seconds(1)) } }
    }
    try await running.until("it looks for both") { count(2...2) > 1 && count(0.1...0.1) > 1 }
    // The control: alone it waits no longer. Every 6.67 s it says that it is there.
    #expect(count(5...6.66) + count(6.67...10) + count(0.5...1.5) == 0)
    for index in 0..<9 {
      let other = RunnerIdentity(id: "\(index)", pool: .hybrid, slots: 1, host: "h", pid: 1, version: "1")
      try await running.queue.register(other, up: .zero)
    }
    try await running.until("it looks for both less often") {
      count(5...6.66) + count(6.67...10) > 1 && count(0.5...1.5) > 1
    }
    task.cancel()
    await task.value
    running.close()
  }
}
