import Crypto
import HTTPServer
import JSON
import Observe

/// Holds the state, writes the journal before it answers, and wakes long polls. One request changes the state at a time.
actor HubStore {
  private var state = HubState()
  private let journal: Journal?
  private let now: @Sendable () -> Int64
  private var waiters: [Int: CheckedContinuation<Void, Never>] = [:]
  private var nextWaiter = 0

  /// What a request did: the change, and the answer to give.
  struct Outcome {
    var change: HubChange
    var status = 201
    var answer: JSONValue
  }

  init(_ options: LocalHubOptions) throws(JournalError) {
    now = options.now
    var state = HubState()
    for (id, name) in options.agents { state.apply(HubChange(agent: StoredAgent(id: id, name: name))) }
    var journal: Journal?
    if let path = options.dataPath { journal = try Journal(path: path, sync: options.syncToDisk) { state.apply($0) } }
    self.state = state
    self.journal = journal
  }

  /// Reads the state as it is now.
  func read<Value: Sendable>(_ body: @Sendable (HubState) throws -> Value) rethrows -> Value { try body(state) }

  /// Carries out a request once: decides, journals, applies, answers.
  func change(
    _ request: ServerRequest, _ decide: @Sendable (HubState, String) throws -> Outcome
  ) throws -> ServerResponse {
    let hash = SHA256.hash(data: request.body).map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
    var key: String?
    if let header = request.header("idempotency-key") {
      guard !header.isEmpty, header.count <= 200 else {
        throw badRequest("the Idempotency-Key has not 1 to 200 characters")
      }
      key = "\(request.method) \(request.path) \(header)"
    }
    if let key, let given = state.given[key] {
      guard given.body_hash == hash else {
        throw ServerRefusal(
          status: 409, code: "idempotency_conflict",
          message: "this Idempotency-Key was used here before with another body; give each effect a key of its own")
      }
      return try .json(given.status, given.answer, headers: [(name: "Idempotent-Replay", value: "true")])
    }
    var outcome = try decide(state, Timestamp.text(now()))
    if let key {
      outcome.change.given = GivenAnswer(key: key, body_hash: hash, status: outcome.status, answer: outcome.answer)
    }
    try journal?.append(outcome.change)
    state.apply(outcome.change)
    if outcome.change.notifications?.isEmpty == false { wakeAll() }
    return try .json(outcome.status, outcome.answer)
  }

  /// Returns when a notification was made, after `time`, or when the task is cancelled.
  func waitForNotification(upTo time: Duration) async {
    let id = nextWaiter
    nextWaiter += 1
    let timer = Task {
      do {
        try await Task.sleep(for: time)
      } catch { return }  // woken before
      wake(id)
    }
    await withTaskCancellationHandler {
      await withCheckedContinuation { waiters[id] = $0 }
    } onCancel: {
      Task { await self.wake(id) }
    }
    timer.cancel()
  }

  private func wake(_ id: Int) { waiters.removeValue(forKey: id)?.resume() }

  private func wakeAll() {
    for id in waiters.keys.sorted() { wake(id) }
  }
}

/// How the Hub's things look in JSON. Fields without a value are left out.
enum View {
  static func object(_ members: [String: JSONValue?]) -> JSONValue { .object(members.compactMapValues(\.self)) }

  static func author(_ author: Author) -> JSONValue {
    object(["id": .string(author.id), "name": author.name.map { .string($0) }])
  }

  static func post(_ post: StoredPost, comments: [StoredPost]? = nil) -> JSONValue {
    object([
      "id": .string(post.id), "author": author(post.author), "title": post.title.map { .string($0) },
      "content": .string(post.content), "community": post.community.map { .string($0) },
      "parent_id": post.parent_id.map { .string($0) }, "created_at": .string(post.created_at),
      "comments": comments.map { .array($0.map { View.post($0) }) },
    ])
  }

  static func notification(_ entry: StoredNotification, read: Bool) -> JSONValue {
    object([
      "id": .string(entry.id), "type": .string(entry.type), "agent_id": .string(entry.agent_id),
      "post_id": entry.post_id.map { .string($0) }, "from_agent": entry.from_agent.map(author),
      "content": entry.content.map { .string($0) }, "created_at": .string(entry.created_at), "read": .bool(read),
    ])
  }

  static func agent(_ agent: StoredAgent, unread: Int) -> JSONValue {
    object([
      "id": .string(agent.id), "name": agent.name.map { .string($0) }, "notification_count": .integer(Int64(unread)),
      "last_activated_at": agent.last_activated_at.map { .string($0) },
    ])
  }

  static func consumption(_ use: StoredConsumption) -> JSONValue {
    object([
      "agent_id": .string(use.agent_id), "tokens_input": .integer(Int64(use.tokens_input)),
      "tokens_output": .integer(Int64(use.tokens_output)), "cost_usd": .number(use.cost_usd),
      "activation_id": use.activation_id.map { .string($0) }, "tool_type": use.tool_type.map { .string($0) },
      "model": use.model.map { .string($0) }, "duration_seconds": use.duration_seconds.map { .number($0) },
      "task_type": use.task_type.map { .string($0) }, "created_at": .string(use.created_at),
    ])
  }
}
