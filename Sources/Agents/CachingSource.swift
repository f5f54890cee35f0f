import Synchronization

/// Keeps each definition for its `cache_ttl`, and the last good one for as long as its successor is broken.
public final class CachingSource: DefinitionSource {
  private struct Entry {
    var agent: LoadedAgent
    /// Read again from then on.
    var goodUntil: ContinuousClock.Instant
  }
  private let source: any DefinitionSource
  private let now: @Sendable () -> ContinuousClock.Instant
  private let keptLastGood: @Sendable (_ agentID: String, _ problem: any Error) -> Void
  private let entries = Mutex<[String: Entry]>([:])
  /// How long a last good definition is used before its successor is tried again.
  private let retryAfter: Duration

  /// - Parameters:
  ///   - now: the clock.
  ///   - retryAfter: how long a last good definition is used before its successor is tried again.
  ///   - keptLastGood: told each time that a definition could not be read and the one before it stays in use.
  public init(
    _ source: any DefinitionSource, now: @escaping @Sendable () -> ContinuousClock.Instant = { .now },
    retryAfter: Duration = .seconds(30),
    keptLastGood: @escaping @Sendable (_ agentID: String, _ problem: any Error) -> Void
  ) {
    self.source = source
    self.now = now
    self.retryAfter = retryAfter
    self.keptLastGood = keptLastGood
  }

  /// Not kept: a new agent is seen at once.
  public func list() async throws -> [String] { try await source.list() }
  /// See `DefinitionSource`.
  public func walk(_ visit: ([String]) async throws -> Void) async throws { try await source.walk(visit) }

  /// The kept definition while it is fresh, else a new one. A definition that is gone is gone: only one that can't be
  /// read or is wrong leaves the last good one in use.
  public func load(_ agentID: String) async throws -> LoadedAgent {
    let kept = entries.withLock { $0[agentID] }
    if let kept, now() < kept.goodUntil { return kept.agent }
    do {
      let agent = try await source.load(agentID)
      keep(Entry(agent: agent, goodUntil: now() + agent.definition.cacheTTL), agentID)
      return agent
    } catch let error as CancellationError {
      throw error
    } catch {
      if case .noSuchAgent? = error as? DefinitionError {
        entries.withLock { $0[agentID] = nil }
        throw error
      }
      guard let kept else { throw error }
      keep(Entry(agent: kept.agent, goodUntil: now() + retryAfter), agentID)
      keptLastGood(agentID, error)
      return kept.agent
    }
  }

  private func keep(_ entry: Entry, _ agentID: String) {
    entries.withLock { $0[agentID] = entry }
  }
}
