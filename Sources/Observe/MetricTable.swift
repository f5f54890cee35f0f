/// What a metric measures: the HELP and TYPE lines of its exposition and the labels its series have.
public struct MetricDescription: Sendable {
  /// The Prometheus types this registry knows.
  public enum Kind: String, Sendable { case counter, gauge, histogram }
  /// As exposed.
  public let name: String
  /// How it is exposed.
  public let kind: Kind
  /// One sentence for the operator.
  public let help: String
  /// Label names in the order of the exposition.
  public let labels: [String]
  /// Upper bounds of a histogram's buckets, in its unit.
  public let buckets: [Double]

  /// Describes a metric. `buckets` count for histograms only.
  public init(
    _ name: String, _ kind: Kind, _ help: String, labels: [String] = [], buckets: [Double] = Self.activationSeconds
  ) {
    self.name = name
    self.kind = kind
    self.help = help
    self.labels = labels
    self.buckets = kind == .histogram ? buckets : []
  }

  /// An activation takes from below a second (a shell script) to an hour (the longest timeout).
  public static let activationSeconds: [Double] = [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600]
  /// A call over the network, or the making of a sandbox.
  public static let callSeconds: [Double] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30,
  ]

  /// Every metric of the system. The first four are a contract: names and labels never change.
  public static let all: [MetricDescription] = [
    .init(
      "botburrow_activations_total", .counter, "Activations that ended, by how they ended.",
      labels: ["agent", "tool_type", "status"]),
    .init(
      "botburrow_activation_duration_seconds", .histogram, "Time from claim to the end of an activation.",
      labels: ["agent", "tool_type"]),
    .init(
      "botburrow_tokens_total", .counter, "Model tokens, by direction (input or output).",
      labels: ["agent", "tool_type", "direction"]),
    .init("botburrow_runner_queue_depth", .gauge, "Work items that wait in a pool's list.", labels: ["pool"]),

    .init("botburrow_active_activations", .gauge, "Activations that run now.", labels: ["pool"]),
    .init("botburrow_claims_total", .counter, "Tries to claim work, by result.", labels: ["pool", "result"]),
    .init("botburrow_lost_leases_total", .counter, "Activations ended because their lease was lost.", labels: ["pool"]),
    .init(
      "botburrow_paused", .gauge, "1 while an operator keeps the pool's work from being claimed.", labels: ["pool"]),
    .init("botburrow_paused_agents", .gauge, "Agents that an operator keeps from being activated."),
    .init("botburrow_paused_runners", .gauge, "Runners that an operator keeps from claiming work."),
    .init("botburrow_dead_letters", .gauge, "Work items in the dead-letter list."),
    .init(
      "botburrow_assigned_total", .counter, "Work items the coordinator assigned.", labels: ["pool", "task_type"]),
    .init(
      "botburrow_notifications_total", .counter, "Notifications that were decided about, by decision.",
      labels: ["decision"]),
    .init("botburrow_leased", .gauge, "Activations that run under a lease, in all runners.", labels: ["pool"]),
    .init("botburrow_parked", .gauge, "Work items that wait because their agent is busy, rests or is paused."),
    .init(
      "botburrow_wanted_runners", .gauge, "Runners that the pool's work keeps busy, for an autoscaler.",
      labels: ["pool"]),
    .init(
      "botburrow_resting_agents", .gauge, "Agents that rest after failures in a row: open circuit breakers."),
    .init("botburrow_trial_agents", .gauge, "Agents that rested and have one trial: half-open circuit breakers."),
    .init("botburrow_retries", .gauge, "Work items that wait for their next attempt."),
    .init(
      "botburrow_staleness_read_ahead_seconds", .gauge,
      "How long it took to read what the next look at the staleness schedule is about."),
    .init("botburrow_staleness_tick_seconds", .gauge, "How long the last look at the staleness schedule took."),
    .init("botburrow_staleness_debt", .gauge, "Agents whose exploration is overdue."),
    .init("botburrow_runners", .gauge, "Runner processes that take work.", labels: ["pool"]),
    .init("botburrow_lost_runners_total", .counter, "Runner processes that went without a goodbye."),
    .init(
      "botburrow_unserved_pool", .gauge, "1 while work waits in a list that no runner serves.", labels: ["pool"]),
    .init("botburrow_stuck_activations", .gauge, "Activations that are under a lease and in which nothing happens."),
    .init("botburrow_slow_activations", .gauge, "Activations that have used most of their time limit."),
    .init("botburrow_leader", .gauge, "1 where this coordinator leads, else 0."),
    .init(
      "botburrow_budget_checks_total", .counter, "Budgets that the Hub was asked for, by what it said.",
      labels: ["state"]),
    .init("botburrow_polls_total", .counter, "Polls of the Hub by the coordinator, by result.", labels: ["result"]),
    .init(
      "botburrow_unreadable_notifications_total", .counter, "Notifications of the Hub that could not be read."),
    .init(
      "botburrow_unknown_agents_total", .counter, "Notifications and listings of agents that have no definition."),
    .init(
      "botburrow_definition_errors_total", .counter, "Agent definitions that could not be loaded.", labels: ["agent"]),
    .init(
      "botburrow_cache_requests_total", .counter, "Requests to have definitions looked at again, by status.",
      labels: ["status"]),
    .init(
      "botburrow_invalidations_heard_total", .counter,
      "Times that kept definitions were called old: by an operator (changed), or because that may have been missed (listening).",
      labels: ["reason"]),
    .init(
      "botburrow_hub_errors_total", .counter, "Requests that the Hub did not carry out, by operation and status.",
      labels: ["operation", "status"]),
    .init(
      "botburrow_sandbox_start_seconds", .histogram, "Time to make a sandbox, up to the start of its program.",
      labels: ["profile"], buckets: callSeconds),
    .init("botburrow_sandboxes", .gauge, "Sandboxes that exist now."),
    .init(
      "botburrow_sandbox_denials_total", .counter, "Sandboxes refused by the supervisor, by reason.",
      labels: ["profile", "reason"]),
    .init(
      "botburrow_sandbox_ends_total", .counter, "Sandboxes that ended, by cause (exit, signal, timeout, oom, …).",
      labels: ["profile", "cause"]),
    .init(
      "botburrow_mcp_calls_total", .counter, "Tool calls through the MCP gateway.",
      labels: ["agent", "server", "status"]),
    .init(
      "botburrow_mcp_call_duration_seconds", .histogram, "Time of tool calls through the MCP gateway.",
      labels: ["server"], buckets: callSeconds),
    .init(
      "botburrow_mcp_server_start_seconds", .histogram, "Time from a tool server's start to its readiness.",
      labels: ["server"], buckets: callSeconds),
    .init("botburrow_mcp_servers_failed_total", .counter, "Tool servers that didn't come.", labels: ["server"]),
    .init(
      "botburrow_mcp_servers_missing_total", .counter,
      "Tool servers that an agent's definition asks for and policy or catalogue doesn't give.", labels: ["agent"]),
    .init(
      "botburrow_proxy_connections_total", .counter, "Connections of tool servers through the proxy, by result.",
      labels: ["server", "result"]),
    .init(
      "botburrow_proxy_bytes_total", .counter, "Bytes through the proxy (sent or received).",
      labels: ["server", "direction"]),
    .init(
      "botburrow_model_calls_total", .counter, "Calls through the model gateway, by how they ended.",
      labels: ["agent", "provider", "outcome"]),
    .init(
      "botburrow_model_call_duration_seconds", .histogram, "Time of calls through the model gateway.",
      labels: ["provider"]),
    .init(
      "botburrow_model_first_byte_seconds", .histogram, "Time until a model's answer began.", labels: ["provider"],
      buckets: callSeconds),
    .init(
      "botburrow_model_cost_usd_total", .counter, "US dollars by the price table.", labels: ["agent"]),
    .init(
      "botburrow_model_estimates_total", .counter, "Calls whose tokens had to be estimated.", labels: ["provider"]),
    .init(
      "botburrow_model_retries_total", .counter, "Calls that the gateway made again.", labels: ["provider"]),
    .init(
      "botburrow_model_provider_resting", .gauge,
      "1 where a provider failed so often that it is left alone for a while.",
      labels: ["provider"]),
    .init("botburrow_hub_retries_total", .counter, "Calls to the Hub that a runner made again."),
    .init("botburrow_outbox_waiting", .gauge, "Entries of the outbox that the Hub has not taken yet."),
    .init("botburrow_outbox_oldest_seconds", .gauge, "How long the oldest entry of the outbox has waited."),
    .init(
      "botburrow_outbox_delivered_total", .counter, "Effects of activations that the Hub took.", labels: ["effect"]),
    .init(
      "botburrow_outbox_retries_total", .counter, "Effects of activations that the Hub did not take at once.",
      labels: ["effect"]),
    .init(
      "botburrow_outbox_refused_total", .counter, "Effects of activations that the Hub refused for good.",
      labels: ["effect"]),
    .init("botburrow_outbox_found_total", .counter, "Answers that were found in their thread after a reply was lost."),
    .init(
      "botburrow_reports_failed_total", .counter, "Reports that the Hub did not take (consumption, activated).",
      labels: ["report"]),
    .init("botburrow_receipts_failed_total", .counter, "Receipts that could not be kept."),
    .init("botburrow_redis_errors_total", .counter, "Redis commands that failed.", labels: ["operation"]),
  ]
}
