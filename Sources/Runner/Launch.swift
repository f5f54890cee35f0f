import Agents
import Configuration
import Executors
import Gateway
import Hub
import JSON
import ModelGateway
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
  /// Its tool servers.
  var granted: GrantedServers
  /// How much it may make in the Hub.
  var effectLimits: AgentDefinition.Limits
  /// Reads what comes back.
  var executor: any Executor

  /// Makes the request of one activation.
  /// - Parameters:
  ///   - granted: its tool servers.
  ///   - dialects: what the agent's model provider speaks; nil for an agent without a model.
  /// - Throws: a failure that no second try would mend, for a definition that can't be run.
  init(
    _ prepared: Prepared, task: ActivationTask, token: String, policy: RunnerPolicy,
    granted: GrantedServers? = nil, dialects: Set<ModelDialect>? = nil
  ) throws(ActivationFailure) {
    let definition = prepared.agent.definition
    let granted = granted ?? GrantedServers(definition, operator: OperatorFiles())
    let hasHubTools = granted.hasHub
    let servers = Self.listeners(granted, policy)
    let timeout = policy.timeout(of: definition)
    let plan: ExecutorPlan
    do throws(ExecutorError) {
      executor = try Executors.executor(for: definition)
      plan = try executor.prepare(
        ExecutorContext(
          agent: prepared.agent, activationID: task.activationID, taskType: task.type.rawValue,
          postID: prepared.thread?.id ?? task.postID,
          prompt: Prompt.text(
            prepared, task: task, hasHubTools: hasHubTools, bounds: Prompt.Bounds(definition, policy)),
          systemText: Prompt.system(prepared),
          contextJSON: try ContextFile.bytes(prepared, task: task), gatewayToken: token,
          servers: servers.map {
            .init(name: $0.name, url: "http://\(gatewayAddress):\($0.port)/mcp/\($0.name)")
          },
          model: dialects.map {
            ModelAccess(
              url: "http://\(gatewayAddress):\(policy.modelPort)", dialects: $0, maxTokens: policy.maxTokens)
          }, timeout: timeout))
    } catch {
      throw .dead("\(error)")
    }
    let choice = definition.sandbox
    request = SandboxRequest(
      activationID: task.activationID, profile: definition.profile,
      arguments: plan.arguments, environment: plan.environment,
      listeners: servers,
      files: plan.files.map { .init(path: $0.path) },
      limits: choice.limits,
      workingDirectory: plan.workingDirectory, workspace: definition.memory.enabled ? definition.id : nil)
    if dialects != nil { request.listeners.append(.init(name: "model", port: policy.modelPort)) }
    request.limits.timeoutSeconds = timeout.map { $0 / .seconds(1) }
    request.limits.workspaceBytes = definition.memory.enabled ? definition.memory.maxSizeMiB << 20 : nil
    request.tightening = choice.tightening
    effectLimits = definition.limits
    files = plan.files.map(\.bytes)
    input = plan.input
    session = GatewaySession(
      activationID: task.activationID, agentID: definition.id, token: token, held: granted.held)
    self.granted = granted
  }

  /// A port a server: the hub's, then one after the other.
  private static func listeners(_ granted: GrantedServers, _ policy: RunnerPolicy) -> [SandboxRequest.Listener] {
    let hub: [SandboxRequest.Listener] =
      granted.hasHub ? [.init(name: MCPServer.hubName, port: policy.hubPort)] : []
    return hub
      + granted.servers.enumerated().map { index, entry in
        .init(name: entry.name, port: policy.hubPort + 1 + UInt16(index))
      }
  }
}

/// `context.json`: the same as the prompt, for programs.
enum ContextFile {
  static func bytes(_ prepared: Prepared, task: ActivationTask) throws(ExecutorError) -> [UInt8] {
    var members: [String: JSONValue] = [
      "activation_id": .string(task.activationID), "agent_id": .string(prepared.agent.definition.id),
      "task_type": .string(task.type.rawValue), "notifications": .array(prepared.notifications.map(notification)),
    ]
    members["post"] = prepared.thread.map(post)
    members["instruction"] = task.instruction.map { .string($0) }
    if !prepared.feed.isEmpty { members["feed"] = .array(prepared.feed.map(post)) }
    do throws(JSONError) {
      return try JSON.encode(JSONValue.object(members))
    } catch {
      // Texts and arrays of texts always have a JSON form.
      throw .unusable(agentID: prepared.agent.definition.id, what: "the context")
    }
  }

  static func post(_ post: Post) -> JSONValue {
    var shown = object(["id": post.id, "content": post.content, "title": post.title, "community": post.community])
    for (key, value) in object(["parent_id": post.parent_id, "created_at": post.created_at]) { shown[key] = value }
    shown["author"] = post.author.map(person)
    shown["comments"] = post.comments.map { .array($0.map(Self.post)) }
    return .object(shown)
  }

  static func notification(_ notification: HubNotification) -> JSONValue {
    var shown = object([
      "id": notification.id, "type": notification.type, "post_id": notification.postID, "content": notification.content,
      "created_at": notification.createdAt,
    ])
    shown["from_agent"] = notification.from.map(person)
    return .object(shown)
  }

  private static func person(_ person: Person) -> JSONValue { .object(object(["id": person.id, "name": person.name])) }
  private static func object(_ members: [String: String?]) -> [String: JSONValue] {
    members.compactMapValues { $0.map { .string($0) } }
  }
}

/// What the agent said.
struct Said: Sendable, Hashable {
  /// Nil for nothing.
  var text: String?
  /// The post that it wants to comment on, where the task has none.
  var postID: String?
  /// What the tool says that it used; advisory.
  var usage: AgentAnswer.Usage?
  /// It failed by its own account or its exit code.
  var failure: ActivationFailure?

  /// Reads a result. The first of these that tells of a failure counts: the model gateway's record, the sandbox's word on
  /// how it ended, the tool's own word, its exit code. Tools take a refused budget for anything, and end with 0.
  static func read(
    _ result: SandboxResult, with executor: any Executor, verdict: ModelVerdict? = nil
  ) -> Said {
    if let verdict { return Said(failure: ActivationFailure(verdict)) }
    let exit: ExecutorOutput.Exit
    switch result.receipt.exit {
    case .exited(let code): exit = .code(code)
    case .signal(let number): exit = .signal(number)
    default: return Said(failure: Verdict.failure(of: result.receipt.exit))
    }
    let answer = executor.interpret(
      ExecutorOutput(
        exit: exit, output: result.output, isTruncated: result.outputTruncated, errorOutput: result.errorOutput))
    switch answer.outcome {
    case .text(let text): return Said(text: text, postID: answer.postID, usage: answer.usage)
    case .nothingToSay: return Said(usage: answer.usage)
    case .failed(let sentence): return Said(usage: answer.usage, failure: ActivationFailure(sentence))
    }
  }
}

extension Consumption {
  /// What one run used.
  init(_ prepared: Prepared, task: ActivationTask, usage: AgentAnswer.Usage?, seconds: Double) {
    let definition = prepared.agent.definition
    self.init(
      agent_id: definition.id, tokens_input: usage?.tokensInput ?? 0, tokens_output: usage?.tokensOutput ?? 0,
      cost_usd: usage?.costUSD ?? 0, activation_id: task.activationID, tool_type: definition.kind.rawValue,
      model: usage?.model ?? definition.brain.model, duration_seconds: seconds, task_type: task.type.rawValue)
  }
}

/// What it means that a definition could not be loaded: a file that is wrong stays wrong, a bucket that is away comes back.
func definitionFailure(_ error: any Error, agentID: String) -> ActivationFailure {
  let sentence = "the definition of agent \(agentID) can't be used: \(error)"
  switch error as? DefinitionError {
  case .noSuchAgent, .badID, .noSuchSkill, .invalid, .notText, .tooLarge: return .dead(sentence)
  case .unreadable, .bucket, nil: return ActivationFailure(sentence)
  }
}
