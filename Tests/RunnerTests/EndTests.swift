import Agents
import JSON
import Sandbox
import Synchronization
import Testing

@testable import Runner

/// A supervisor that does nothing it is told, until it is hung up on.
private struct DeafLauncher: SandboxLauncher {
  let started = Latch()
  func run(
    _ request: SandboxRequest, files: [[UInt8]], input: [UInt8], outputLimit: Int, end: SandboxEnd?,
    serve: @escaping @Sendable ([String: Int32]) async throws -> Void
  ) async throws -> SandboxResult {
    started.open()
    await Latch().wait()
    throw CancellationError()
  }
}

/// However an activation ends, what its sandbox says of its walls is kept.
@Suite struct EndTests {
  /// A program that comments, says that it did, and goes on for ever.
  private func endless(_ began: Latch) -> FakeLauncher {
    FakeLauncher { program in
      _ = try await program.call("create_comment", ["post_id": "12", "content": "On my way"])
      began.open()
      try await Task.sleep(for: .seconds(600))
      return .init(output: "never")
    }
  }
  private let writer = agent(grants: [Grant(service: "hub", permission: "write")])

  @Test func `One that is cancelled keeps its receipt and its effects`() async throws {
    let began = Latch()
    let world = try World(endless(began), agents: [writer])
    let activation = world.activation()
    let task = Task { await activation.perform() }
    await began.wait()
    task.cancel()
    let end = await task.value
    activation.close(end)
    #expect(end.failure == ActivationFailure("the activation was cancelled", status: .cancelled))
    #expect(end.sandbox?.exit == .cancelled)
    let receipt = try world.receipt("a-1")
    #expect(receipt["seccomp_mode"] == 2 && receipt["status"] == "cancelled")
    #expect(receipt["effects"]?.array?.count == 1)
    // Nothing is said in the name of one who lost the right to speak.
    #expect(world.hub.state.comments.map(\.content) == ["On my way"])
    #expect(world.hub.state.read.isEmpty && world.hub.state.consumption.isEmpty)
  }

  @Test func `One whose supervisor forgets the time is ended by us, with its receipt`() async throws {
    let world = try World(endless(Latch()), agents: [writer])
    var services = world.services
    services.policy.timeout = .milliseconds(1)
    services.policy.supervisorGrace = .milliseconds(200)
    let end = await Activation(task: world.activation().task, services: services).perform()
    #expect(end.failure?.status == .timeout)
    #expect(end.failure?.description.hasPrefix("the agent ran into its time limit, and its supervisor") == true)
    #expect(end.sandbox?.exit == .cancelled)
    #expect(world.hub.state.consumption.count == 1)
  }

  @Test func `A supervisor that doesn't obey is hung up on`() async throws {
    let world = try World(FakeLauncher(says: ""))
    let deaf = DeafLauncher()
    var services = world.services
    services.launcher = deaf
    services.policy.timeout = .milliseconds(1)
    services.policy.supervisorGrace = .zero
    services.policy.receiptGrace = .milliseconds(10)
    let task = world.activation().task
    let overdue = await Activation(task: task, services: services).perform()
    #expect(
      overdue.failure?.description
        == "the supervisor was told to end the sandbox and gave no receipt; look at the supervisor's log")
    #expect(overdue.sandbox == nil && overdue.consumption == nil)
    services.policy.timeout = nil
    let again = DeafLauncher()
    services.launcher = again
    let activation = Activation(task: task, services: services)
    let cancelled = Task { await activation.perform() }
    await again.started.wait()
    cancelled.cancel()
    #expect(await cancelled.value.failure?.status == .cancelled)
  }

  @Test func `Whose program is quicker than the order counts as it ended`() {
    func outcome(_ exit: ExitCause, _ reason: SandboxWait.Reason?) -> SandboxWait.Outcome {
      .init(
        result: .success(SandboxResult(output: [], receipt: Receipt(activationID: "a", exit: exit, json: [:]))),
        reason: reason)
    }
    func failure(_ outcome: SandboxWait.Outcome, cancelled: Bool = false) -> ActivationFailure.Status? {
      Activation.failure(of: outcome, isCancelled: cancelled, limit: .seconds(1))?.status
    }
    #expect(failure(outcome(.exited(code: 0), .overdue)) == nil)
    #expect(failure(outcome(.cancelled, .overdue)) == .timeout)
    #expect(failure(outcome(.cancelled, .modelIsOver)) == nil)
    #expect(failure(outcome(.timeout, nil)) == nil)
    #expect(failure(outcome(.exited(code: 0), .cancelled), cancelled: true) == .cancelled)
  }

  @Test func `The effective time limit is the smallest that is known`() {
    var definition = writer.definition
    var policy = RunnerPolicy()
    #expect(policy.timeout(of: definition) == nil)
    policy.timeout = .seconds(60)
    #expect(policy.timeout(of: definition) == .seconds(60))
    definition.sandbox.timeout = .seconds(90)
    #expect(policy.timeout(of: definition) == .seconds(60))
    definition.sandbox.timeout = .seconds(30)
    #expect(policy.timeout(of: definition) == .seconds(30))
  }
}
