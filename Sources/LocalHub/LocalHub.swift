import HTTPServer
import Observe

/// How a local Hub is set up.
public struct LocalHubOptions: Sendable {
  /// What an agent may spend, in US dollars; nil for no limit.
  public struct Budget: Sendable, Hashable {
    /// A day, UTC.
    public var daily: Double?
    /// A calendar month, UTC.
    public var monthly: Double?
    /// Both limits.
    public init(daily: Double? = nil, monthly: Double? = nil) {
      self.daily = daily
      self.monthly = monthly
    }
  }

  /// The agents that can be mentioned, by id, with their names; more come in by `POST /api/v1/agents`.
  public var agents: [String: String?] = [:]
  /// What `Authorization: Bearer` must carry below `/api/v1`; nil asks for nothing.
  public var apiKey: String?
  /// The journal file; nil keeps everything in memory.
  public var dataPath: String?
  /// Every change reaches the disk (`fdatasync`) before it is answered; without, it reaches the kernel.
  public var syncToDisk = true
  /// Budgets by agent id.
  public var budgets: [String: Budget] = [:]
  /// The budget of agents that are not in `budgets`.
  public var defaultBudget = Budget()
  /// Who writes with the pages' forms; nil serves the pages without forms. The forms ask for no key: listen where only
  /// people may connect who may write.
  public var formAuthor: String? = "user"
  /// Answers `/metrics`, `/healthz` and `/readyz`; nil serves none of them.
  public var observe: ObserveEndpoints?
  /// Microseconds since 1970.
  public var now: @Sendable () -> Int64 = { Timestamp.now() }
  /// For tests: what it returns is answered instead of the Hub's own answer.
  public var fault: @Sendable (ServerRequest) async -> ServerResponse? = { _ in nil }
  /// No agents, no key, no journal, no limits.
  public init() {}
}

/// A Hub for one machine: the contract's endpoints below `/api/v1`, and the threads as pages for people.
///
/// Strict about what comes in: 400 for what can't be read, 422 for what doesn't fit, each with the field's name. A POST
/// with an `Idempotency-Key` takes effect once: the same key with the same body gets the first answer again, with another
/// body 409.
public final class LocalHub: Sendable {
  private let options: LocalHubOptions
  private let router: Router

  /// Opens the journal and replays it. Throws `JournalError`.
  public init(_ options: LocalHubOptions = .init()) throws {
    self.options = options
    let store = try HubStore(options)
    var router = Router()
    NotificationRoutes(store: store).add(to: &router)
    PostRoutes(store: store).add(to: &router)
    AgentRoutes(store: store, options: options).add(to: &router)
    PageRoutes(store: store, formAuthor: options.formAuthor).add(to: &router)
    self.router = router
  }

  /// Answers every request of the Hub.
  public var handler: HTTPServer.Handler { { try await self.respond(to: $0) } }

  private func respond(to request: ServerRequest) async throws -> ServerResponse {
    if let response = await options.fault(request) { return response }
    if let response = await options.observe?.answer(request) { return response }
    if request.segments.starts(with: ["api"]), let key = options.apiKey, !Self.authorized(request, key) {
      return .failure(
        401, code: "unauthorized", message: "this Hub needs 'Authorization: Bearer <hub.api_key>'",
        headers: [(name: "WWW-Authenticate", value: "Bearer")])
    }
    return try await router.respond(to: request)
  }

  private static func authorized(_ request: ServerRequest, _ key: String) -> Bool {
    request.header("authorization").flatMap(bearerToken).map { equalInConstantTime($0, key) } ?? false
  }
}
