import Agents
import Logging
import Observe
import Work

/// Definitions for as long as each may be kept (`cache_ttl`), so that a poll a second doesn't read the bucket each second.
///
/// A definition that can't be read is logged once for each new reason and counted; while an older reading of it is there, that
/// stays in use.
actor DefinitionCache {
  private struct Entry {
    var agent: KnownAgent
    var until: ContinuousClock.Instant
  }
  private let source: any DefinitionSource
  private let metrics: Metrics
  private let logger: Logger
  private let now: @Sendable () -> ContinuousClock.Instant
  private var entries: [String: Entry] = [:]
  private var ids: (all: Set<String>, until: ContinuousClock.Instant)?
  private var complaints: [String: String] = [:]
  /// How long the list, and what could not be read, is believed.
  private static let doubt = Duration.seconds(30)

  init(
    _ source: any DefinitionSource, metrics: Metrics, logger: Logger,
    now: @escaping @Sendable () -> ContinuousClock.Instant = { .now }
  ) {
    self.source = source
    self.metrics = metrics
    self.logger = logger
    self.now = now
  }

  /// Ids of all agents; nil when the source can't be read and never could.
  func list() async -> Set<String>? {
    if let ids, now() < ids.until { return ids.all }
    do {
      let all = Set(try await source.list())
      ids = (all, now() + Self.doubt)
      complaints["", default: ""] = ""
    } catch {
      complain(about: "", "\(error)", "agent definitions can't be listed")
    }
    return ids?.all
  }

  /// What is known of one agent.
  func agent(_ id: String) async -> KnownAgent {
    if let entry = entries[id], now() < entry.until { return entry.agent }
    guard WorkItem.isName(id) else { return .unknown }
    do {
      let definition = try await source.load(id).definition
      entries[id] = Entry(agent: .defined(definition), until: now() + definition.cacheTTL)
      complaints[id] = nil
      return .defined(definition)
    } catch {
      let all = await list()
      if let all, !all.contains(id) {
        entries[id] = Entry(agent: .unknown, until: now() + Self.doubt)
        return .unknown
      }
      complain(about: id, "\(error)", "agent definition can't be read")
      var agent = KnownAgent.broken
      if case .defined(let older) = entries[id]?.agent { agent = .defined(older) }
      entries[id] = Entry(agent: agent, until: now() + Self.doubt)
      return agent
    }
  }

  private func complain(about id: String, _ reason: String, _ message: Logger.Message) {
    metrics.increment("botburrow_definition_errors_total", [("agent", id)])
    guard complaints[id] != reason else { return }
    complaints[id] = reason
    var metadata: Logger.Metadata = ["error": "\(reason)"]
    if !id.isEmpty { metadata["agent_id"] = "\(id)" }
    logger.warning(message, metadata: metadata)
  }
}
