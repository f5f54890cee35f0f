import Agents
import Logging
import Observe
import Work

/// Definitions for as long as each may be kept (`cache_ttl`), so that a poll a second doesn't read the bucket each second.
///
/// A definition that can't be read is logged once for each new reason and counted; while an older reading of it is there, that
/// stays in use.
actor DefinitionCache {
  private let source: any DefinitionSource
  private let metrics: Metrics
  private let logger: Logger
  private let now: @Sendable () -> ContinuousClock.Instant
  private var known = Remembered<KnownAgent>()
  private var complaints: [String: String] = [:]
  /// How long what could not be read is believed.
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

  /// All ids, some at a time; whatever the source or `visit` throws.
  nonisolated func walk(_ visit: ([String]) async throws -> Void) async throws { try await source.walk(visit) }

  /// What is known of some agents, of which eight are read at a time.
  nonisolated func agents(_ ids: [String]) async -> [String: KnownAgent] {
    await withTaskGroup(of: (String, KnownAgent).self) { group in
      var rest = ids.makeIterator()
      for _ in 0..<8 {
        guard let id = rest.next() else { break }
        group.addTask { (id, await self.agent(id)) }
      }
      var known: [String: KnownAgent] = [:]
      for await (id, agent) in group {
        known[id] = agent
        if let next = rest.next() { group.addTask { (next, await self.agent(next)) } }
      }
      return known
    }
  }

  /// What is known of one agent.
  func agent(_ id: String) async -> KnownAgent {
    if let agent = known.fresh(id, at: now()) { return agent }
    guard WorkItem.isName(id) else { return .unknown }
    do {
      let definition = try await source.load(id).definition
      known.keep(.defined(definition), id, until: now() + definition.cacheTTL)
      complaints[id] = nil
      return .defined(definition)
    } catch DefinitionError.noSuchAgent, DefinitionError.badID {
      complaints[id] = nil
      known.keep(.unknown, id, until: now() + Self.doubt)
      return .unknown
    } catch {
      complain(about: id, "\(error)", "agent definition can't be read")
      var agent = KnownAgent.broken
      if case .defined(let older) = known.last(id) { agent = .defined(older) }
      known.keep(agent, id, until: now() + Self.doubt)
      return agent
    }
  }

  /// The list could not be read.
  func listingFailed(_ error: any Error) { complain(about: "", "\(error)", "agent definitions can't be listed") }
  /// The list was read to its end.
  func listed() { complaints[""] = nil }

  private func complain(about id: String, _ reason: String, _ message: Logger.Message) {
    metrics.increment("botburrow_definition_errors_total", [("agent", id)])
    guard complaints[id] != reason else { return }
    complaints[id] = reason
    var metadata: Logger.Metadata = ["error": "\(reason)"]
    if !id.isEmpty { metadata["agent_id"] = "\(id)" }
    logger.warning(message, metadata: metadata)
  }
}
