import Agents
import Executors
import Gateway
import Hub
import JSON
import Sandbox

/// What is asked of the supervisor, and what the program gets. Pure.
struct Launch: Sendable {
  var request: SandboxRequest
  /// The contents of `request.files`, in that order.
  var files: [[UInt8]]
  /// Standard input.
  var input: [UInt8]
  /// Who the program is at its gateways.
  var session: GatewaySession

  /// Makes the request of one activation.
  /// - Throws: a failure that no second try would mend, for a definition that can't be run.
  init(_ prepared: Prepared, task: ActivationTask, token: String, policy: RunnerPolicy) throws(ActivationFailure) {
    let definition = prepared.agent.definition
    guard definition.kind == .custom else {
      throw .dead(
        "agent \(definition.id) is of type \(definition.kind.rawValue), which this runner can't run yet; use custom")
    }
    guard let command = definition.executor else {
      throw .dead("agent \(definition.id) is of type custom and has no 'executor.command' in its config.yaml")
    }
    let hasHubTools = definition.grants.contains { $0.service == "hub" }
    let system = Prompt.system(prepared)
    var environment = command.environment
    environment["BOTBURROW_AGENT_ID"] = definition.id
    environment["BOTBURROW_ACTIVATION_ID"] = task.activationID
    environment["BOTBURROW_TASK_TYPE"] = task.type.rawValue
    environment["BOTBURROW_POST_ID"] = prepared.thread?.id ?? task.postID
    environment["BOTBURROW_SYSTEM_PROMPT"] = "/run/agent/system.md"
    if hasHubTools {
      environment["MCP_HUB_URL"] = "http://\(gatewayAddress):\(policy.hubPort)/mcp/hub"
      environment["BOTBURROW_TOKEN"] = token
    }
    let choice = definition.sandbox
    request = SandboxRequest(
      activationID: task.activationID, profile: choice.profile ?? policy.standardProfile,
      arguments: [command.command] + command.arguments, environment: environment,
      listeners: hasHubTools ? [.init(name: "hub", port: policy.hubPort)] : [], files: [.init(path: "system.md")],
      limits: .init(
        memoryBytes: choice.memoryBytes, cpus: choice.cpus, pids: choice.pids,
        timeoutSeconds: choice.timeout.map { $0 / .seconds(1) }))
    files = [Array(system.utf8)]
    input = Array(Prompt.text(prepared, task: task, hasHubTools: hasHubTools).utf8)
    session = GatewaySession(
      activationID: task.activationID, agentID: definition.id, token: token, grants: definition.grants)
  }
}

/// What the agent said.
struct Said: Sendable, Hashable {
  /// Nil for nothing.
  var text: String?
  /// The post that it wants to comment on, where the task has none.
  var postID: String?
  /// What the tool says that it used; advisory.
  var inputTokens: Int?
  var outputTokens: Int?

  /// Reads a result: the sandbox's word on how it ended comes before the tool's.
  static func read(_ result: SandboxResult, launch: Launch) -> Result<Said, ActivationFailure> {
    if let failure = Verdict.failure(of: result.receipt.exit, errorOutput: result.errorOutput) {
      return .failure(failure)
    }
    guard !result.outputTruncated else {
      return .failure(.dead("the agent wrote more than is taken as an answer"))
    }
    let text = String(decoding: result.output, as: UTF8.self)
    guard text.first(where: { !$0.isWhitespace }) == "{", let value = try? JSONValue(parsing: result.output),
      let members = value.object
    else { return .success(Said(text: text)) }
    return .success(
      Said(
        text: members["answer"]?.string, postID: members["post_id"]?.string,
        inputTokens: members["tokens_input"]?.integer.map { Int($0) },
        outputTokens: members["tokens_output"]?.integer.map { Int($0) }))
  }
}

extension Consumption {
  /// What one run used.
  init(_ prepared: Prepared, task: ActivationTask, said: Said?, seconds: Double) {
    let definition = prepared.agent.definition
    self.init(
      agent_id: definition.id, tokens_input: said?.inputTokens ?? 0, tokens_output: said?.outputTokens ?? 0,
      cost_usd: 0, activation_id: task.activationID, tool_type: definition.kind.rawValue,
      model: definition.brain.model, duration_seconds: seconds, task_type: task.type.rawValue)
  }
}

/// What it means that a definition could not be loaded.
func definitionFailure(_ error: any Error, agentID: String) -> ActivationFailure {
  .dead("the definition of agent \(agentID) can't be used: \(error)")
}
