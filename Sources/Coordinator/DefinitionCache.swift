import Agents
import Logging
import Observe
import Work

/// Definitions for as long as each may be kept (`cache_ttl`), so that a poll a second doesn't read the bucket each second. Then it is
/// asked whether they are still the same.
///
/// A definition that can't be read is logged once for each new reason and counted; while an older reading of it is there, that
/// stays in use.
actor DefinitionCache {
  private let source: any DefinitionSource
  private let metrics: Metrics
  private let logger: Logger
  private let now: @Sendable () -> ContinuousClock.Instant
  private struct Reading {
    var agent: KnownAgent
    /// What it was read from, where it is defined.
    var files: [DefinitionFile] = []
    /// Its place among all readings, in the order in which they began.
    var number = 0
  }
  private var known = Remembered<Reading>()
  /// Readings that began so far.
  private var readings = 0
  /// Readings up to this one may be older than what was said since.
  private var doubted = 0
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
    if let reading = known.fresh(id, at: now()) { return reading.agent }
    guard WorkItem.isName(id) else { return .unknown }
    readings += 1
    let number = readings
    do {
      let (reading, ttl) = try await read(id)
      keep(reading, number, id, for: ttl)
      complaints[id] = nil
      return reading.agent
    } catch DefinitionError.noSuchAgent, DefinitionError.badID {
      complaints[id] = nil
      keep(Reading(agent: .unknown), number, id, for: Self.doubt)
      return .unknown
    } catch {
      var reading = Reading(agent: .broken)
      if let older = known.last(id), case .defined = older.agent { reading = older }
      // Nobody waits for it any more: that says nothing of the definition.
      if Task.isCancelled { return reading.agent }
      let isKept = reading.agent != .broken
      complain(
        about: id, "\(error)",
        isKept ? "new definition is broken; the last good one stays in use" : "agent definition can't be read")
      keep(reading, number, id, for: Self.doubt)
      return reading.agent
    }
  }

  /// What is kept of this agent, or of all, may be old: the next look finds out.
  func invalidate(_ id: String?) {
    doubted = readings
    known.doubt(id, at: now())
  }

  /// Reads an agent where it has changed.
  private func read(_ id: String) async throws -> (Reading, Duration) {
    if let last = known.last(id), case .defined(let definition) = last.agent {
      guard let agent = try await source.load(id, unless: last.files) else { return (last, definition.cacheTTL) }
      return (Reading(agent: .defined(agent.definition), files: agent.files), agent.definition.cacheTTL)
    }
    let agent = try await source.load(id)
    return (Reading(agent: .defined(agent.definition), files: agent.files), agent.definition.cacheTTL)
  }

  /// Keeps what the reading of this number found, unless one that began later has found something already.
  private func keep(_ reading: Reading, _ number: Int, _ id: String, for time: Duration) {
    if let last = known.last(id), last.number > number { return }
    var reading = reading
    reading.number = number
    known.keep(reading, id, until: number > doubted ? now() + time : now())
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
