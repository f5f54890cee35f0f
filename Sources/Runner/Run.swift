import Agents
import Gateway
import Glibc
import HTTPServer
import Linux
import ModelGateway
import Sandbox

/// What came out of the sandbox, with what the agent did in the Hub meanwhile.
struct Ran: Sendable {
  var result: SandboxResult
  var effects: [ActivationLedger.Effect]
  /// How its tool servers ended.
  var sidecars: [SidecarEnd] = []
}

extension Activation {
  /// Runs the agent in its sandbox, with its gateways beside it for just as long.
  func run(
    _ launch: Launch, ledger: ActivationLedger, model: ModelSession? = nil
  ) async throws(ActivationFailure) -> Ran {
    let gateways = GatewayListener()
    let modelGateway = ModelGatewayListener()
    var limits: any EffectLimits = ActivationLimits(launch.effectLimits, ledger: ledger)
    if task.type == .exploration { limits = OneContribution(others: limits, ledger: ledger) }
    let server = MCPServer(
      session: launch.session, hub: services.hub, ledger: ledger,
      audit: services.audit,
      limits: limits, originHosts: [gatewayAddress], now: services.time.now)
    let tools = ToolServers(launch, task: task, services: services)
    let failure: ActivationFailure
    do {
      let result = try await inTime(model) { end in
        try await services.launcher.run(
          launch.request, files: launch.files, input: launch.input, outputLimit: services.policy.outputLimit,
          end: end,
          serve: { listeners in
            services.watch?(.started(profile: launch.request.profile))
            for (name, descriptor) in listeners {
              if let front = name == MCPServer.hubName ? server : tools.members[name]?.front {
                try await gateways.serve(front, at: .listener(descriptor: descriptor))
              } else if name == "model", let model, let providers = services.models {
                try await modelGateway.serve(model, providers, at: .listener(descriptor: descriptor))
              } else {
                _ = Glibc.close(descriptor)
              }
            }
          })
      }
      await gateways.stop()
      await modelGateway.stop()
      return Ran(result: result, effects: ledger.effects, sidecars: await tools.stop())
    } catch is CancellationError {
      failure = ActivationFailure("the activation was cancelled", status: .cancelled)
    } catch let error as LinuxError where error.operation == "connect" {
      // A supervisor that is being started again is no reason to give up on anybody's question.
      failure = ActivationFailure(
        "the supervisor does not answer: \(error); start botburrow-supervisor", remedy: .deferred(.seconds(2)))
    } catch {
      failure = ActivationFailure("the supervisor could not run the agent: \(error)")
    }
    await gateways.stop()
    await modelGateway.stop()
    _ = await tools.stop()
    throw failure
  }

  /// The supervisor keeps the time; one that hangs must not keep a place and a lease for ever.
  /// And a program that gets nothing more from its model has a moment to say its last words: no answer stops every tool.
  private func inTime(
    _ model: ModelSession?, _ run: @escaping @Sendable (SandboxEnd) async throws -> SandboxResult
  ) async throws -> SandboxResult {
    let time = services.time
    let limit = services.policy.timeout.map { $0 + services.policy.supervisorGrace }
    let grace = services.policy.modelGrace
    let receiptGrace = services.policy.supervisorGrace
    let logger = services.logger
    let end = sandboxEnd
    guard limit != nil || model != nil else { return try await run(end) }
    return try await withThrowingTaskGroup(of: SandboxResult.self) { group in
      group.addTask { try await run(end) }
      if let limit {
        group.addTask {
          try await time.sleep(limit)
          throw SupervisorOverdue(limit: limit)
        }
      }
      if let model {
        group.addTask {
          repeat {
            try await model.untilOver()
            try await time.sleep(grace)
            // The next try may have been answered.
          } while !model.isOver
          do {
            try end.give()
          } catch {
            // The connection is gone: `run` is about to tell with what.
            logger.warning("the supervisor was not told to end the sandbox", metadata: ["error": "\(error)"])
          }
          // The receipt comes as any other; the gateway's verdict says why.
          try await time.sleep(receiptGrace)
          throw SupervisorOverdue(limit: receiptGrace)
        }
      }
      defer { group.cancelAll() }
      guard let first = try await group.next() else { throw CancellationError() }
      return first
    }
  }
}

/// The supervisor did not end a sandbox when its time was over.
struct SupervisorOverdue: Error, CustomStringConvertible {
  let limit: Duration
  var description: String { "it gave no receipt within \(limit.components.seconds) s; look at the supervisor's log" }
}
