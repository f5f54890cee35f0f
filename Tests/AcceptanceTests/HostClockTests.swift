import JSON
import Linux
import TestSupport
import Testing

extension Acceptance {
  /// A host of runner and coordinator whose clock is set an hour forward and two back, each time in the middle of an activation. Leases
  /// and leadership live on Redis's time and on clocks that only go forward: nothing is lost, and each is answered once.
  @Suite(.enabled(if: FakeClock.sharedObject != nil, Comment(rawValue: FakeClock.missing)))
  struct HostClockTests {
    @Test func itsJumpsChangeNothing() async throws {
      try await Machine.with(.init(agents: [.slow("sleeper", seconds: 3)], lease: "6s")) { machine in
        let clock = try FakeClock()
        let environment = try clock.environment()
        let supervisor = try await machine.supervisor()
        let coordinator = try await machine.coordinator(environment: environment)
        let runner = try await machine.runner(environment: environment)
        defer { for daemon in [coordinator, runner] { FakeClock.forget(daemon.pid) } }
        for (index, hours) in [1, -1].enumerated() {
          let post = try await machine.hubAPI.post("@sleeper question \(index)")
          _ = try await machine.liveSandbox()
          try clock.set(seconds: hours * 3600)
          try await until("the answer", within: .seconds(20)) { try await !machine.hubAPI.comments(post).isEmpty }
          try await until("its end", within: .seconds(30)) { try await machine.count("done") == index + 1 }
          #expect(try await machine.hubAPI.comments(post).map(\.text) == ["done after a while"])
          try await until("no agent", within: .seconds(30)) { machine.agents.isEmpty }
        }
        #expect(try await machine.count("expired") == 0)
        #expect(try await machine.redisCLI(["LLEN", "botburrow:dead"]) == "0")
        #expect(try await machine.redisCLI(["GET", "botburrow:epoch"]) == "1")
        let receipts = try machine.receipts(of: "runner")
        #expect(receipts.count == 2 && receipts.allSatisfy { $0["attempt"]?.integer == 0 })
        for daemon in [runner, coordinator, supervisor] { #expect(try await daemon.terminate() == .exited(0)) }
        // Both did go by that clock: their logs are an hour back before the end.
        for daemon in [coordinator, runner] {
          let times = daemon.records.compactMap { $0["time"]?.string }
          let late = try #require(times.max())
          let last = try #require(times.last)
          #expect(last.prefix(13) < late.prefix(13), "\(times)")
        }
      }
    }
  }
}
