import Synchronization

/// Keeps each definition for its `cache_ttl`, asks then whether it is still the same, and keeps the last good one for as long as
/// its successor is broken.
public final class CachingSource: DefinitionSource {
  private struct Entry {
    var agent: LoadedAgent
    /// Asked for again from then on.
    var goodUntil: ContinuousClock.Instant
    /// The number of the reading that it is from, or was found unchanged by.
    var reading: Int
  }
  private struct State {
    var entries: [String: Entry] = [:]
    /// Readings that began so far: each has its place among them as its number.
    var readings = 0
    /// Readings up to this one may be older than what was said since.
    var doubted = 0
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
    let now = now()
    let (kept, reading) = state.withLock { state in
      // A number that no reading follows does no harm.
      state.readings += 1
      return (state.entries[agentID], state.readings)
    }
    if let kept, now < kept.goodUntil { return kept.agent }
    do {
      let agent =
        if let kept {
          try await source.load(agentID, unless: kept.agent.files) ?? kept.agent
        } else {
          try await source.load(agentID)
        }
      keep(agent, agentID, for: agent.definition.cacheTTL, reading)
      return agent
    } catch let error as CancellationError {
      throw error
    } catch {
      if case .noSuchAgent? = error as? DefinitionError {
        forget(agentID, reading)
        throw error
      }
      guard let kept else { throw error }
      keep(kept.agent, agentID, for: retryAfter, reading)
      keptLastGood(agentID, error)
      return kept.agent
    }
  }

  /// See `DefinitionSource`. What is kept stays at hand: it may be unchanged, or its successor broken.
  public func invalidate(_ agentID: String?) {
    let now = now()
    state.withLock { state in
      state.doubted = state.readings
      for id in agentID.map({ [$0] }) ?? Array(state.entries.keys) { state.entries[id]?.goodUntil = now }
    }
  }

  /// Keeps what a reading found, unless one that began later has found something already.
  private func keep(_ agent: LoadedAgent, _ agentID: String, for time: Duration, _ reading: Int) {
    let now = now()
    state.withLock { state in
      if let entry = state.entries[agentID], entry.reading > reading { return }
      let isOld = reading <= state.doubted
      state.entries[agentID] = Entry(agent: agent, goodUntil: isOld ? now : now + time, reading: reading)
    }
  }

  /// A reading found no such agent.
  private func forget(_ agentID: String, _ reading: Int) {
    state.withLock { state in
      if let entry = state.entries[agentID], entry.reading > reading { return }
      state.entries[agentID] = nil
      // Nothing is left that tells one that began before this that it is too late: what it brings is asked for again.
      state.doubted = max(state.doubted, reading)
    }
  }
}
