import Gateway
import Hub
import JSON

/// One thing that the Hub is told of an activation: decided, with its key, before anything is sent, so that it can be kept
/// and sent again by somebody else, with the same words.
struct HubCall: Sendable, Hashable {
  /// What is told.
  enum Kind: String, Sendable, Hashable {
    case comment
    case readMarks = "read_marks"
    case consumption, activated

    /// What it was needed for, in a sentence about its failure.
    var failure: String {
      switch self {
      case .comment: "the answer can't be posted"
      case .readMarks: "notifications can't be marked as read"
      case .consumption: "consumption can't be reported"
      case .activated: "the agent's activation can't be reported"
      }
    }
  }

  /// What is told, with all that it takes.
  enum Content: Sendable, Hashable {
    /// - seen: comments of this agent with the same words that were in the thread before.
    case comment(postID: String, text: String, seen: [String])
    case readMarks([String])
    case consumption(Consumption)
    case activated
  }

  /// In whose name.
  var agentID: String
  /// The same on every try.
  var idempotencyKey: String
  var content: Content

  var kind: Kind {
    switch content {
    case .comment: .comment
    case .readMarks: .readMarks
    case .consumption: .consumption
    case .activated: .activated
    }
  }

  /// Tells the Hub.
  /// - Returns: the id of what the Hub made.
  func make(at hub: any HubAPI) async throws -> String? {
    switch content {
    case .comment(let postID, let text, _):
      return try await hub.comment(on: postID, agentID: agentID, content: text, idempotencyKey: idempotencyKey).id
    case .readMarks(let ids): try await hub.markRead(ids, idempotencyKey: idempotencyKey)
    case .consumption(let use): try await hub.report(use, idempotencyKey: idempotencyKey)
    case .activated: try await hub.activated(agentID: agentID, idempotencyKey: idempotencyKey)
    }
    return nil
  }

  /// Looks whether the Hub has it, where that can be seen: not every Hub honours keys.
  /// - Returns: the comment that it became.
  func find(at hub: any HubAPI) async throws -> Post? {
    guard case .comment(let postID, let text, let seen) = content else { return nil }
    return OwnWords.comments(in: try await hub.post(postID), by: agentID, saying: text).first { !seen.contains($0.id) }
  }
}

extension HubCall {
  /// One JSON object; an operator reads it in a dead letter.
  var encoded: [UInt8] {
    var members: [String: JSONValue] = [
      "effect": .string(kind.rawValue), "agent_id": .string(agentID), "idempotency_key": .string(idempotencyKey),
    ]
    switch content {
    case .comment(let postID, let text, let seen):
      members["post_id"] = .string(postID)
      members["content"] = .string(text)
      members["seen"] = .array(seen.map { .string($0) })
    case .readMarks(let ids): members["notification_ids"] = .array(ids.map { .string($0) })
    case .consumption(let use):
      members["consumption"] = [
        "tokens_input": .integer(Int64(use.tokens_input)), "tokens_output": .integer(Int64(use.tokens_output)),
        "cost_usd": .number(use.cost_usd), "activation_id": .string(use.activation_id),
        "tool_type": .string(use.tool_type), "model": use.model.map { .string($0) } ?? .null,
        "duration_seconds": .number(use.duration_seconds), "task_type": .string(use.task_type),
      ]
    case .activated: break
    }
    return JSONValue.object(members).compactBytes
  }

  /// Nil where these bytes are no such object.
  init?(parsing bytes: [UInt8]) {
    guard let value = try? JSONValue(parsing: bytes), let agent = value["agent_id"]?.string,
      let key = value["idempotency_key"]?.string, let kind = value["effect"]?.string.flatMap(Kind.init)
    else { return nil }
    agentID = agent
    idempotencyKey = key
    switch kind {
    case .comment:
      guard let post = value["post_id"]?.string, let text = value["content"]?.string else { return nil }
      content = .comment(postID: post, text: text, seen: value["seen"]?.array?.compactMap(\.string) ?? [])
    case .readMarks:
      guard let ids = value["notification_ids"]?.array?.compactMap(\.string) else { return nil }
      content = .readMarks(ids)
    case .consumption:
      guard let use = value["consumption"].flatMap({ Consumption(kept: $0, agentID: agent) }) else { return nil }
      content = .consumption(use)
    case .activated: content = .activated
    }
  }
}

extension Consumption {
  fileprivate init?(kept value: JSONValue, agentID: String) {
    guard let input = value["tokens_input"]?.integer, let output = value["tokens_output"]?.integer,
      let cost = value["cost_usd"]?.double, let activation = value["activation_id"]?.string,
      let tool = value["tool_type"]?.string, let seconds = value["duration_seconds"]?.double,
      let task = value["task_type"]?.string
    else { return nil }
    self.init(
      agent_id: agentID, tokens_input: Int(input), tokens_output: Int(output), cost_usd: cost,
      activation_id: activation, tool_type: tool, model: value["model"]?.string, duration_seconds: seconds,
      task_type: task)
  }
}
