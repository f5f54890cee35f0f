import Glibc
import Linux
import Testing

@testable import Sandbox

/// Until when a sandbox may live, which its client puts off as long as it may.
@Suite("A sandbox's term", .enabled(if: geteuid() == 0, "needs root")) struct TermTests {
  @Test func `It ends at its term, though its client still stands there, and its receipt says so`() async throws {
    let supervisor = try TestSupervisor()
    let end = SandboxEnd(term: .now.advanced(by: .seconds(2)))
    let began = ContinuousClock.now
    let result = try await supervisor.launcher.run(
      request(["sleep", "60"]), files: [], input: [], outputLimit: 1 << 20, end: end, serve: { _ in })
    #expect(result.receipt.exit == .lapsed)
    #expect(ContinuousClock.now - began >= .seconds(2))
    #expect(try supervisor.sandboxes.isEmpty)
  }

  @Test func `Put off, it lives on; an earlier term shortens nothing`() async throws {
    let supervisor = try TestSupervisor()
    let first = BootTime.now.advanced(by: .seconds(2))
    let end = SandboxEnd(term: first)
    try end.postpone(to: .now.advanced(by: .seconds(60)))
    try end.postpone(to: .now)
    let result = try await supervisor.launcher.run(
      request(["sleep", "3"]), files: [], input: [], outputLimit: 1 << 20, end: end, serve: { _ in })
    #expect(result.receipt.exit == .exited(code: 0))
    #expect(BootTime.now > first)
  }

  @Test func `Put off while it runs`() async throws {
    let supervisor = try TestSupervisor()
    // Long enough for a machine that does much else to come as far as to put it off.
    let first = BootTime.now.advanced(by: .seconds(10))
    let end = SandboxEnd(term: first)
    var asked = request(["sh", "-c", "sleep 11"])
    asked.listeners = [.init(name: "hub", port: 8001)]
    let result = try await supervisor.launcher.run(
      asked, files: [], input: [], outputLimit: 1 << 20, end: end,
      serve: { listeners in
        for descriptor in listeners.values { close(descriptor) }
        try end.postpone(to: .now.advanced(by: .seconds(60)))
      })
    #expect(result.receipt.exit == .exited(code: 0))
    #expect(BootTime.now > first)
  }

  @Test func `A term that is past runs nothing`() async throws {
    let supervisor = try TestSupervisor()
    // Many at once: PID 1 may be quicker than the supervisor's look at the clock.
    try await withThrowingTaskGroup(of: SandboxResult.self) { group in
      for _ in 0..<16 {
        group.addTask {
          try await supervisor.launcher.run(
            request(["sh", "-c", "echo ran"]), files: [], input: [], outputLimit: 1 << 20, end: SandboxEnd(term: .now),
            serve: { _ in })
        }
      }
      for try await result in group {
        #expect(result.receipt.exit == .lapsed)
        #expect(result.output.isEmpty)
      }
    }
  }
}
