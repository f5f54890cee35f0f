import Agents
import JSON

/// Type `custom`: any program of the operator's. The prompt is its standard input, its standard output the answer.
public struct CustomExecutor: Executor {
  /// `custom`.
  public static let kind = AgentDefinition.Kind.custom
  /// Makes the executor; it keeps nothing.
  public init() {}

  /// `executor.command` with its arguments; the prompt as standard input and as a file.
  public func prepare(_ context: ExecutorContext) throws(ExecutorError) -> ExecutorPlan {
    let agent = context.agent.definition
    guard let command = agent.executor else { throw .noCommand(agentID: agent.id) }
    let arguments = [command.command] + command.arguments
    guard !arguments.contains(where: { $0.utf8.contains(0) }) else {
      throw .unusable(agentID: agent.id, what: "an argument")
    }
    let environment = try environment(context, command)
    return ExecutorPlan(
      arguments: arguments, environment: environment,
      files: [
        .init(path: "prompt.md", bytes: Array(context.prompt.utf8)),
        .init(path: "system.md", bytes: Array(context.systemText.utf8)),
        .init(path: "context.json", bytes: context.contextJSON),
      ],
      input: Array(context.prompt.utf8), workingDirectory: "/workspace")
  }

  private func environment(
    _ context: ExecutorContext, _ command: AgentDefinition.Command
  ) throws(ExecutorError) -> [String: String] {
    let agentID = context.agent.definition.id
    // These three may be set otherwise by the definition; what follows may not.
    var environment = ["PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/workspace", "LANG": "C.UTF-8"]
    var own = [
      "BOTBURROW_ACTIVATION_ID": context.activationID,
      "BOTBURROW_AGENT_ID": agentID,
      "BOTBURROW_TASK_TYPE": context.taskType,
      "BOTBURROW_PROMPT_FILE": "\(ExecutorPlan.fileDirectory)/prompt.md",
      "BOTBURROW_SYSTEM_FILE": "\(ExecutorPlan.fileDirectory)/system.md",
      "BOTBURROW_CONTEXT_FILE": "\(ExecutorPlan.fileDirectory)/context.json",
      "BOTBURROW_GATEWAY_TOKEN": context.gatewayToken,
    ]
    own["BOTBURROW_POST_ID"] = context.postID
    if let model = context.model {
      own["BOTBURROW_MODEL"] = context.agent.definition.brain.model
      if model.dialects.contains(.anthropic) {
        own["ANTHROPIC_BASE_URL"] = model.url
        own["ANTHROPIC_API_KEY"] = context.gatewayToken
      }
      if !model.dialects.isDisjoint(with: [.openAIChat, .openAIResponses]) {
        own["OPENAI_BASE_URL"] = "\(model.url)/v1"
        own["OPENAI_API_KEY"] = context.gatewayToken
      }
    }
    for server in context.servers {
      own["MCP_\(server.name.uppercased().replacing("-", with: "_"))_URL"] = server.url
    }
    for (name, value) in command.environment.sorted(by: { $0.key < $1.key }) {
      guard !name.isEmpty, !name.contains("="), !(name + value).utf8.contains(0) else {
        throw .unusable(agentID: agentID, what: "an environment variable")
      }
      guard !name.hasPrefix("BOTBURROW_"), own[name] == nil else {
        throw .reservedVariable(agentID: agentID, name: name)
      }
      environment[name] = value
    }
    return environment.merging(own) { _, own in own }
  }

  /// A JSON object with `answer` (and `post_id`), `nothing_to_say` or `error` speaks for itself; any other output is the answer's text
  /// if the program ended with 0.
  public func interpret(_ output: ExecutorOutput) -> AgentAnswer {
    if output.isTruncated {
      return AgentAnswer(.failed(output.tooMuch))
    }
    guard let text = String(validating: output.output, as: UTF8.self)?.trimmed else {
      return AgentAnswer(.failed("the agent's output is not UTF-8 text"))
    }
    if let answer = structured(text) { return answer }
    switch output.exit {
    case .code(0): return AgentAnswer(text.isEmpty ? .nothingToSay : .text(text))
    case .code, .signal: return AgentAnswer(.failed(output.ending(of: "the agent")))
    }
  }

  private func structured(_ text: String) -> AgentAnswer? {
    // Output that merely begins with a brace is text: not being JSON is no error here.
    guard text.hasPrefix("{"), let object = (try? JSONValue(parsing: text.utf8))?.object,
      object["answer"] != nil || object["nothing_to_say"] != nil || object["error"] != nil
    else { return nil }
    let usage = object["usage"].flatMap(usage(_:))
    func answer(_ outcome: AgentAnswer.Outcome) -> AgentAnswer {
      AgentAnswer(outcome, usage: usage, postID: object["post_id"]?.string)
    }
    if let error = object["error"], error != .null {
      return answer(.failed("the agent says: \((error.string ?? "an error that isn't text").oneLine())"))
    }
    if object["nothing_to_say"]?.bool == true { return answer(.nothingToSay) }
    guard let text = object["answer"]?.string?.trimmed else {
      return answer(.failed("'answer' in the agent's JSON output is not text"))
    }
    return answer(text.isEmpty ? .nothingToSay : .text(text))
  }

  private func usage(_ value: JSONValue) -> AgentAnswer.Usage? {
    guard value.object != nil else { return nil }
    var usage = AgentAnswer.Usage()
    usage.tokensInput = value["tokens_input"]?.count ?? 0
    usage.tokensOutput = value["tokens_output"]?.count ?? 0
    usage.costUSD = value["cost_usd"]?.dollars ?? 0
    usage.model = value["model"]?.string
    return usage
  }
}
