import HTTPServer
import JSON
import Observe

/// `/api/v1/agents…`, `/api/v1/system/…`
struct AgentRoutes: Sendable {
  let store: HubStore
  let options: LocalHubOptions

  func add(to router: inout Router) {
    router.on("GET", "/api/v1/agents", list)
    router.on("POST", "/api/v1/agents", create)
    router.on("POST", "/api/v1/agents/:id/activated", activated)
    router.on("GET", "/api/v1/system/budget-health", budget)
    router.on("POST", "/api/v1/system/consumption", report)
    router.on("GET", "/api/v1/system/consumption", consumption)
  }

  @Sendable private func list(_ request: ServerRequest) async throws -> ServerResponse {
    var query = Query(request)
    let withNotifications = try query.truth("has_notifications") ?? false
    let stale = try query.truth("stale") ?? false
    let age = try query.number("min_staleness", 0...(100 * 365 * 86400), default: 0)
    try query.end()
    // Moments of one form compare as text.
    let limit = Timestamp.text(options.now() - Int64(age) * 1_000_000)
    return try await store.read { state in
      let counts = state.unreadCounts()
      let found = state.agents.values.sorted { $0.id < $1.id }.filter { agent in
        (!withNotifications || counts[agent.id, default: 0] > 0)
          && (!stale || agent.last_activated_at.map { $0 <= limit } ?? true)
      }
      return try .json(["agents": JSONValue.array(found.map { View.agent($0, unread: counts[$0.id, default: 0]) })])
    }
  }

  @Sendable private func create(_ request: ServerRequest) async throws -> ServerResponse {
    var fields = try Fields(request)
    let agent = StoredAgent(id: try fields.identifier("id"), name: try fields.optionalText("name", max: 100))
    try fields.end()
    return try await store.change(request) { state, _ in
      let isNew = state.agents[agent.id] == nil
      return .init(
        change: HubChange(agent: agent), status: isNew ? 201 : 200,
        answer: View.agent(agent, unread: state.unreadCount(of: agent.id)))
    }
  }

  @Sendable private func activated(_ request: ServerRequest) async throws -> ServerResponse {
    let id = request.parameters["id"] ?? ""
    let fields = try Fields(request, optional: true)
    try fields.end()
    return try await store.change(request) { state, now in
      guard state.agents[id] != nil else { throw notFound("'\(id)' is not an agent of this Hub") }
      return .init(
        change: HubChange(activated: .init(agent_id: id, at: now)), status: 200,
        answer: ["id": .string(id), "last_activated_at": .string(now)])
    }
  }

  @Sendable private func budget(_ request: ServerRequest) async throws -> ServerResponse {
    var query = Query(request)
    guard let id = try query.text("agent_id"), !id.isEmpty else {
      throw badRequest("the parameter 'agent_id' is missing")
    }
    try query.end()
    let budget = options.budgets[id] ?? options.defaultBudget
    let today = Timestamp.text(options.now())
    return try await store.read { state in
      let day = state.cost(of: id, in: String(today.prefix(10)))
      let month = state.cost(of: id, in: String(today.prefix(7)))
      let healthy = budget.daily.map { day < $0 } ?? true && budget.monthly.map { month < $0 } ?? true
      return try .json([
        "daily_limit": budget.daily.map { JSONValue.number($0) } ?? .null, "daily_used": .number(day),
        "monthly_limit": budget.monthly.map { .number($0) } ?? .null, "monthly_used": .number(month),
        "healthy": .bool(healthy),
      ])
    }
  }

  /// Taken for any agent id: what was used was used, whether the Hub knows the agent or not.
  @Sendable private func report(_ request: ServerRequest) async throws -> ServerResponse {
    var fields = try Fields(request)
    var use = StoredConsumption(
      agent_id: try fields.identifier("agent_id"), tokens_input: try fields.count("tokens_input"),
      tokens_output: try fields.count("tokens_output"), cost_usd: try fields.amount("cost_usd"), created_at: "")
    use.activation_id = try fields.optionalText("activation_id", max: 100)
    use.tool_type = try fields.optionalText("tool_type", max: 100)
    use.model = try fields.optionalText("model", max: 200)
    use.duration_seconds = try fields.optionalAmount("duration_seconds")
    use.task_type = try fields.optionalText("task_type", max: 100)
    try fields.end()
    return try await store.change(request) { [use] _, now in
      var use = use
      use.created_at = now
      return .init(change: HubChange(consumption: use), answer: ["created_at": .string(now)])
    }
  }

  @Sendable private func consumption(_ request: ServerRequest) async throws -> ServerResponse {
    var query = Query(request)
    let id = try query.text("agent_id")
    let limit = try query.number("limit", 1...1000, default: 100)
    try query.end()
    return try await store.read { state in
      let all = state.consumption.filter { id == nil || $0.agent_id == id }
      let totals = Totals(all)
      return try .json(
        View.object([
          "agent_id": id.map { .string($0) },
          "totals": [
            "activations": .integer(Int64(totals.activations)), "tokens_input": .integer(Int64(totals.input)),
            "tokens_output": .integer(Int64(totals.output)), "cost_usd": .number(totals.cost),
          ],
          "records": .array(all.suffix(limit).reversed().map(View.consumption)),
        ]))
    }
  }
}

/// The sum of some reports.
struct Totals {
  var activations = 0
  var input = 0
  var output = 0
  var cost = 0.0

  init(_ uses: [StoredConsumption]) {
    for use in uses {
      activations += 1
      input = input.addingReportingOverflow(use.tokens_input).partialValue
      output = output.addingReportingOverflow(use.tokens_output).partialValue
      cost += use.cost_usd
    }
  }
}
