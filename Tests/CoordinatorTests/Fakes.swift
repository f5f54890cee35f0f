import Agents
import Hub
import Logging
import Synchronization

/// Definitions in memory.
final class Definitions: DefinitionSource {
  struct Broken: Error, CustomStringConvertible {
    let description: String
  }
  private let all: Mutex<[String: AgentDefinition?]>
  /// An agent without a definition is there and can't be read.
  init(_ all: [String: AgentDefinition?]) { self.all = Mutex(all) }
  static func agent(_ id: String, explores: Bool = false) -> AgentDefinition {
    var definition = AgentDefinition(id: id, kind: .custom, brain: AgentDefinition.Brain(model: "m"))
    definition.discovery.enabled = explores
    return definition
  }
  func list() async throws -> [String] { all.withLock { $0.keys.sorted() } }
  func load(_ agentID: String) async throws -> LoadedAgent {
    guard let known = all.withLock({ $0[agentID] }) else {
      throw DefinitionError.noSuchAgent(id: agentID, place: "here")
    }
    guard let definition = known else {
      throw Broken(description: "agents/\(agentID)/config.yaml:1:1: 'name' is missing")
    }
    return LoadedAgent(definition: definition, systemPrompt: "", skills: [])
  }
}

/// A Hub in memory whose polls, marks and failures a test can see.
final class InboxHub: HubAPI {
  struct State {
    var inbox = Inbox(notifications: [])
    var failures: [HubError] = []
    var stale: [HubAgent] = []
    var polls = 0
    var read: [[String]] = []
    var hasLongPoll = false
    var longPolls = 0
    /// Whose inbox was read by itself.
    var inboxes: [String] = []
    var budgets: [String: HubBudget] = [:]
    var budgetFailure: HubError?
    /// Before each answer about budgets.
    var budgetGate: (@Sendable () async throws -> Void)?
    var budgetCalls = 0
    fileprivate var unread: [HubNotification] {
      let read = Set(read.flatMap { $0 })
      return inbox.notifications.filter { !read.contains($0.id) }
    }
  }
  let state = Mutex(State())
  private let bell = AsyncStream.makeStream(of: Void.self)
  /// Lets long polls look again.
  func wake() { bell.continuation.yield() }
  func pollNotifications(timeout: Int, batchSize: Int) async throws -> [HubAgent]? {
    let has = state.withLock { state in
      if state.hasLongPoll { state.longPolls += 1 }
      return state.hasLongPoll
    }
    guard has else { return nil }
    if state.withLock({ $0.unread.isEmpty }) { for await _ in bell.stream { break } }
    try Task.checkCancellation()
    return state.withLock { Set($0.unread.map(\.agentID)).sorted().map { HubAgent(id: $0) } }
  }
  func budgetHealth(agentID: String) async throws -> HubBudget {
    try await state.withLock { $0.budgetGate }?()
    return try state.withLock { state in
      state.budgetCalls += 1
      if let failure = state.budgetFailure { throw failure }
      return state.budgets[agentID] ?? HubBudget(healthy: true)
    }
  }
  func change(_ body: (inout State) -> Void) { state.withLock { body(&$0) } }
  func unreadNotifications() async throws -> Inbox {
    try state.withLock { state in
      state.polls += 1
      if !state.failures.isEmpty { throw state.failures.removeFirst() }
      var inbox = state.inbox
      let read = Set(state.read.flatMap { $0 })
      inbox.notifications.removeAll { read.contains($0.id) }
      return inbox
    }
  }
  func markRead(_ notificationIDs: [String], idempotencyKey: String) async throws {
    change { $0.read.append(notificationIDs) }
  }
  func agents(staleFor seconds: Int) async throws -> [HubAgent] { state.withLock { $0.stale } }

  struct NotAsked: Error {}
  func unreadNotifications(agentID: String) async throws -> Inbox {
    state.withLock { state in
      state.inboxes.append(agentID)
      return Inbox(notifications: state.unread.filter { $0.agentID == agentID })
    }
  }
  func post(_ id: String) async throws -> Post { throw NotAsked() }
  func comment(on postID: String, agentID: String, content: String, idempotencyKey: String) async throws -> Created {
    throw NotAsked()
  }
  func createPost(agentID: String, content: String, title: String?, community: String?, idempotencyKey: String)
    async throws -> Created
  { throw NotAsked() }
  func search(_ query: String, limit: Int, community: String?, author: String?) async throws -> [Post] {
    throw NotAsked()
  }
  func discover(limit: Int, communities: [String], keywords: [String]) async throws -> [Post] { throw NotAsked() }
  func report(_ consumption: Consumption, idempotencyKey: String) async throws { throw NotAsked() }
  func activated(agentID: String, idempotencyKey: String) async throws { throw NotAsked() }
}

/// Keeps what was logged, with its error or agent.
final class LogBook: Sendable {
  let lines = Mutex<[String]>([])
  var logger: Logger { Logger(label: "test") { _ in Handler(book: self) } }
  func count(_ text: String) -> Int { lines.withLock { $0.filter { $0.contains(text) }.count } }

  struct Handler: LogHandler {
    let book: LogBook
    var logLevel = Logger.Level.info
    var metadata = Logger.Metadata()
    init(book: LogBook) { self.book = book }
    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
      get { metadata[key] }
      set { metadata[key] = newValue }
    }
    func log(event: LogEvent) {
      let about = event.metadata?["error"] ?? event.metadata?["agent_id"]
      book.lines.withLock { $0.append("\(event.message)" + (about.map { " | \($0)" } ?? "")) }
    }
  }
}
