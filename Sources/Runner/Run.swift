import Agents
import Gateway
import Glibc
import HTTPServer
import Linux
import ModelGateway
import Sandbox

/// What came out of the sandbox, with what the agent did in the Hub meanwhile: kept however it ended.
struct Ran: Sendable {
  /// Nil where there is no receipt: no sandbox was made, or its supervisor is gone.
  var result: SandboxResult?
  /// Why it came to nothing, where the result alone doesn't say so.
  var failure: ActivationFailure?
  var effects: [ActivationLedger.Effect]
  /// How its tool servers ended.
  var sidecars: [SidecarEnd] = []
}

extension Activation {
  /// Runs the agent in its sandbox, with its gateways beside it for just as long. Cancelling the task ends the sandbox; it
  /// returns when everything of it is over.
  func run(_ launch: Launch, ledger: ActivationLedger, model: ModelSession? = nil) async -> Ran {
    await toItsEnd { cancelled in
      await run(launch, ledger: ledger, model: model, cancelled: cancelled)
    }
  }

  private func run(_ launch: Launch, ledger: ActivationLedger, model: ModelSession?, cancelled: Latch) async -> Ran {
    let gateways = GatewayListener()
    let modelGateway = ModelGatewayListener()
    var limits: any EffectLimits = ActivationLimits(launch.effectLimits, ledger: ledger)
    if task.type == .exploration { limits = OneContribution(others: limits, ledger: ledger) }
    let server = MCPServer(
      session: launch.session, hub: services.hub, ledger: ledger, keeper: outbox, audit: services.audit,
      limits: limits, originHosts: [gatewayAddress], now: services.time.now)
    let tools = ToolServers(launch, task: task, services: services)
    let wait = SandboxWait(
      end: sandboxEnd, time: services.time, logger: services.logger, grace: services.policy.receiptGrace)
    // The supervisor keeps the time; one that hangs must not keep a place and a lease for ever.
    let limit = launch.request.limits.timeoutSeconds.map { .seconds($0) + services.policy.supervisorGrace }
    let outcome = await wait.run(
      until: [SandboxWait.cancelled(by: cancelled), wait.overdue(after: limit), over(model)]
    ) { end in
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
    if case .failure = outcome.result { try? await services.time.sleep(services.policy.supervisorsEnd) }
    let sidecars = await tools.stop(now: cancelled.isOpen)
    return Ran(
      result: try? outcome.result.get(),
      failure: Self.failure(of: outcome, isCancelled: cancelled.isOpen, limit: limit),
      effects: ledger.effects, sidecars: sidecars)
  }

  /// A program that gets nothing more from its model has a moment to say its last words: no answer stops every tool.
  private func over(_ model: ModelSession?) -> @Sendable () async throws -> SandboxWait.Reason? {
    let (time, grace) = (services.time, services.policy.modelGrace)
    return {
      guard let model else { return nil }
      repeat {
        try await model.untilOver()
        try await time.sleep(grace)
        // The next try may have been answered.
      } while !model.isOver
      return .modelIsOver
    }
  }

  /// What our own part in its end means. That nothing more came from a model is the gateway's verdict to tell.
  static func failure(of outcome: SandboxWait.Outcome, isCancelled: Bool, limit: Duration?) -> ActivationFailure? {
    if isCancelled { return .cancelled }
    switch outcome.result {
    case .success(let result):
      guard outcome.reason == .overdue, result.receipt.exit == .cancelled else { return nil }
      return ActivationFailure(
        "the agent ran into its time limit, and its supervisor did not end it within "
          + "\((limit ?? .zero).components.seconds) s; look at the supervisor's log", status: .timeout)
    case .failure(let error as LinuxError) where error.operation == "connect":
      // A supervisor that is being started again is no reason to give up on anybody's question.
      return ActivationFailure(
        "the supervisor does not answer: \(error); start botburrow-supervisor", remedy: .deferred(.seconds(2)))
    case .failure where outcome.reason != nil:
      return ActivationFailure(
        "the supervisor was told to end the sandbox and gave no receipt; look at the supervisor's log")
    case .failure(let error): return ActivationFailure("the supervisor could not run the agent: \(error)")
    }
  }
}
