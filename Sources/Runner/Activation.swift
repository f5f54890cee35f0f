import Agents
import Gateway
import Hub
import JSON
import Logging
import ModelGateway
import Sandbox
import Work

/// How an activation ended: what the receipt, the log line and the metrics are made of.
public struct ActivationEnd: Sendable {
  /// Nil when it came to its end.
  public var failure: ActivationFailure?
  /// From the first step to the last.
  public var seconds: Double = 0
  /// The executor's kind; `unknown` where the definition could not be read.
  public var toolType = "unknown"
  /// What the agent said, if anything.
  public var answer: String?
  /// What became of the answer.
  public var posted: Posted?
  /// How its outbox stands; nil: nothing is kept there.
  var outbox: LeasedOutbox.End?
  /// What the Hub was told of its use.
  public var consumption: Consumption?
  /// The sandbox's result.
  var ran: Ran?

  /// The word in `botburrow_activations_total{status}`.
  public var status: String { failure?.status.rawValue ?? "success" }
  /// The sandbox's receipt, where a sandbox was made.
  public var sandbox: Receipt? { ran?.result?.receipt }
  /// How its tool servers ended, each with its sandbox's receipt.
  public var toolServers: [JSONValue] { ran?.sidecars.map(\.json) ?? [] }
  /// The last part of what the agent wrote on standard error.
  public var errorOutput: [UInt8] { ran?.result?.errorOutput ?? [] }
}

/// One activation of one agent, from its definition to its receipt.
struct Activation: Sendable {
  let task: ActivationTask
  let services: RunnerServices
  /// Whether an answer is posted, and notifications are marked.
  var posts = true
  /// When its sandbox ends from outside.
  var sandboxEnd = SandboxEnd()
  /// Where what the Hub is to be told is kept first; nil where no queue knows of this activation.
  var outbox: LeasedOutbox?
  /// Hears how far it is; nil: nobody wants to know.
  var progress: ActivationProgress?

  var metadata: Logger.Metadata {
    ["activation_id": "\(task.activationID)", "agent_id": "\(task.agentID)", "attempt": "\(task.attempt)"]
  }

  /// Runs all steps. Never throws: what went wrong is in the end's `failure`.
  func perform() async -> ActivationEnd {
    let started = services.time.now()
    var end = ActivationEnd()
    do throws(ActivationFailure) {
      try await steps(&end)
    } catch {
      end.failure = error
    }
    end.seconds = started.duration(to: services.time.now()) / .seconds(1)
    return end
  }

  private func steps(_ end: inout ActivationEnd) async throws(ActivationFailure) {
    // Beside the Hub's answers it costs no time of its own.
    async let known = view()
    var prepared = try await prepare()
    end.toolType = prepared.agent.definition.kind.rawValue
    let view = try await known.get()
    if view?.isStored == true {
      end.posted = .waiting
      end.outbox = .waiting(.zero)
      return
    }
    let marks = Array(Set(task.notificationIDs + prepared.notifications.map(\.id))).sorted()
    let earlier = Beforehand.effects(view?.made ?? [:], in: prepared.thread, by: task.agentID)
    if Beforehand.isAnswered(earlier, task: task, thread: prepared.thread) {
      services.logger.notice("an earlier attempt has commented itself", metadata: metadata)
      return try await conclude(.nothing(.commentedItself), marks: marks, use: nil, prepared, &end)
    }
    if let view, let wait = Beforehand.wait(view, task: task, thread: prepared.thread) { throw wait }
    if Relevant.isAnswered(task, unread: prepared.notifications) {
      end.posted = .earlier
      return
    }
    if posts, Relevant.hasHadItsSay(prepared) {
      services.logger.notice("thread limit reached, nothing is answered", metadata: metadata)
      return try await conclude(.nothing(.threadLimit), marks: marks, use: nil, prepared, &end)
    }
    // Only now: it takes a sandbox of its own.
    prepared.memory = try await recall(prepared.agent.definition, about: Relevant.texts(prepared, task: task))
    let granted = GrantedServers(
      prepared.agent.definition, skills: prepared.skills, operator: services.tools.files)
    tell(granted.missing)
    let token = services.makeToken()
    let model = try await modelSession(prepared, token: token)
    let launch = try Launch(
      prepared, task: task, token: token, policy: services.policy, granted: granted,
      dialects: model?.choice.provider.dialects)
    services.watch?(
      .prepared(
        agentID: task.agentID, toolType: end.toolType, model: prepared.agent.definition.brain.model,
        promptBytes: launch.input.count))
    let ledger = ActivationLedger(earlier: earlier)

    progress?.starts(model, timeLimit: launch.request.limits.timeoutSeconds.map { .seconds($0) })
    let started = services.time.now()
    let ran = await run(launch, ledger: ledger, model: model)
    end.ran = ran
    let seconds = started.duration(to: services.time.now()) / .seconds(1)

    let said = ran.result.map { Said.read($0, with: launch.executor, verdict: model?.verdict) } ?? Said()
    var usage = Consumption(prepared, task: task, usage: said.usage, seconds: seconds)
    usage.count(model)
    // An attempt that never ran used nothing.
    if ran.result != nil || (model?.usage.total ?? 0) > 0 { end.consumption = usage }
    if let failure = ran.failure ?? said.failure {
      // What a failed attempt used was used all the same.
      if posts, let usage = end.consumption, failure.status != .cancelled || isWorthKeeping(usage) {
        progress?.enter(.report)
        await report(usage)
      }
      throw failure
    }
    end.answer = said.text

    let response = Response.decide(
      text: said.text, named: said.postID, task: task, thread: prepared.thread, effects: ran.effects,
      limit: services.policy.answerLimit)
    guard posts else {
      end.posted = .nothing(.notWanted)
      return
    }
    try await conclude(response, marks: marks, use: usage, prepared, &end)
  }

  /// Of an attempt that was given up: without an outbox there is no time to tell anybody.
  private func isWorthKeeping(_ usage: Consumption) -> Bool {
    outbox != nil && usage.tokens_input + usage.tokens_output > 0
  }

  private func conclude(
    _ response: Response, marks: [String], use: Consumption?, _ prepared: Prepared, _ end: inout ActivationEnd
  ) async throws(ActivationFailure) {
    progress?.enter(.respond)
    let calls = calls(response, marks: marks, use: use, prepared: prepared)
    try await tell(calls, response, marks: marks, &end)
  }

  private func view() async -> Result<OutboxView?, ActivationFailure> {
    guard let outbox else { return .success(nil) }
    do throws(ActivationFailure) { return .success(try await outbox.view()) } catch { return .failure(error) }
  }

  /// Keeps the receipt, writes the log line and counts, once an activation is over.
  func close(_ end: ActivationEnd) {
    if let receipts = services.receipts, isPlainID(task.activationID) {
      do throws(ReceiptError) {
        try receipts.write(receipt(end), activationID: task.activationID)
      } catch {
        services.metrics.increment("botburrow_receipts_failed_total")
        services.logger.error("receipt not kept", metadata: metadata.merging(["error": "\(error)"]) { $1 })
      }
    }
    let labels = [("agent", task.agentID), ("tool_type", end.toolType)]
    services.metrics.increment("botburrow_activations_total", labels + [("status", end.status)])
    services.metrics.observe("botburrow_activation_duration_seconds", labels, end.seconds)
    let input = end.consumption?.tokens_input ?? 0
    let output = end.consumption?.tokens_output ?? 0
    services.metrics.increment("botburrow_tokens_total", labels + [("direction", "input")], by: Double(input))
    services.metrics.increment("botburrow_tokens_total", labels + [("direction", "output")], by: Double(output))
    var line = metadata
    line["tool_type"] = "\(end.toolType)"
    line["duration"] = "\(end.seconds)"
    line["tokens"] = ["input": .stringConvertible(input), "output": .stringConvertible(output)]
    line["status"] = "\(end.status)"
    line["task_type"] = "\(task.type.rawValue)"
    if let failure = end.failure { line["error"] = "\(failure)" }
    if case .comment(let id?) = end.posted { line["comment_id"] = "\(id)" }
    services.logger.log(level: end.failure == nil ? .info : .warning, "activation", metadata: line)
  }
}
