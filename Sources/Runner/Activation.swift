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
  /// Asked right before an effect: false when the lease went to somebody else.
  var stillOurs: @Sendable () async -> Bool = { true }

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
    let prepared = try await prepare()
    end.toolType = prepared.agent.definition.kind.rawValue
    if Relevant.isAnswered(task, unread: prepared.notifications) {
      end.posted = .earlier
      return
    }
    if posts, Relevant.hasHadItsSay(prepared) {
      services.logger.notice("thread limit reached, nothing is answered", metadata: metadata)
      end.posted = .nothing(.threadLimit)
      try await markRead(Array(Set(task.notificationIDs + prepared.notifications.map(\.id))).sorted())
      return
    }
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
    let ledger = ActivationLedger()

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
      if posts, failure.status != .cancelled, let usage = end.consumption { await report(usage) }
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
    guard await stillOurs() else {
      throw ActivationFailure("the lease went to another runner before the answer was posted", status: .lost)
    }
    end.posted = try await respond(response)
    try await markRead(Array(Set(task.notificationIDs + prepared.notifications.map(\.id))).sorted())
    await report(usage)
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
