import Synchronization

/// Keeps each definition for its `cache_ttl`, asks then whether it is still the same, and keeps the last good one for as long as
/// its successor is broken.
public final class CachingSource: DefinitionSource {
  private struct Entry {
    var agent: LoadedAgent
    /// Asked for again from then on.
    var goodUntil: ContinuousClock.Instant
  }
  private struct State {
    var entries: [String: Entry] = [:]
    /// So far: what was asked for before one may be older than it.
    var invalidations = 0
  }
  private let source: any DefinitionSource
  private let now: @Sendable () -> ContinuousClock.Instant
  private let keptLastGood: @Sendable (_ agentID: String, _ problem: any Error) -> Void
  private let state = Mutex(State())
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

  /// The kept definition while it is fresh or unchanged, else a new one. A definition that is gone is gone: only one that can't be
  /// read or is wrong leaves the last good one in use.
  public func load(_ agentID: String) async throws -> LoadedAgent {
    let (kept, asked) = state.withLock { ($0.entries[agentID], $0.invalidations) }
    if let kept, now() < kept.goodUntil { return kept.agent }
    do {
      let agent =
        if let kept {
          try await source.load(agentID, unless: kept.agent.files) ?? kept.agent
        } else {
          try await source.load(agentID)
        }
      keep(agent, agentID, for: agent.definition.cacheTTL, asked)
      return agent
    } catch let error as CancellationError {
      throw error
    } catch {
      if case .noSuchAgent? = error as? DefinitionError {
        state.withLock { $0.entries[agentID] = nil }
        throw error
      }
      guard let kept else { throw error }
      keep(kept.agent, agentID, for: retryAfter, asked)
      keptLastGood(agentID, error)
      return kept.agent
    }
  }

  /// See `DefinitionSource`. What is kept stays at hand: it may be unchanged, or its successor broken.
  public func invalidate(_ agentID: String?) {
    let now = now()
    state.withLock { state in
      state.invalidations += 1
      for id in agentID.map({ [$0] }) ?? Array(state.entries.keys) { state.entries[id]?.goodUntil = now }
    }
  }

  /// - Parameter asked: how many invalidations there had been when it was asked for.
  private func keep(_ agent: LoadedAgent, _ agentID: String, for time: Duration, _ asked: Int) {
    let now = now()
    state.withLock { state in
      let isOld = state.invalidations != asked
      state.entries[agentID] = Entry(agent: agent, goodUntil: isOld ? now : now + time)
    }
  }
}
