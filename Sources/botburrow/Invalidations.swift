import Agents
import ArgumentParser
import Configuration
import JSON
import Logging
import Observe
import Synchronization
import Work

/// `botburrow agents invalidate`
struct AgentsInvalidate: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "invalidate",
    abstract: "Have coordinators and runners look at once whether definitions have changed.",
    discussion: """
      Without it they look when a definition's cache_ttl is over. What is unchanged isn't read again, and a new definition that is \
      wrong leaves the last good one in use: the daemons' logs say so. The daemons are told through Redis; one that is cut off from \
      it takes everything for old when it is back. Activations that run keep the definition that they began with.

      The same over HTTP, where a daemon serves its metrics (metrics.* of the configuration: on its own host alone, unless it says \
      otherwise). FILE, which nobody else may read, has the line "Authorization: Bearer TOKEN", with the token of the \
      configuration's cache part:
        curl -X POST -H @FILE 'http://127.0.0.1:9101/api/v1/cache/invalidate?agent=NAME'

      Exit code: 0, also where no daemon runs; 1 where Redis can't be asked.
      """)
  @Argument(help: "The agent whose definition changed; none: all, for instance after a change of a skill.")
  var name: String?
  @OptionGroup var options: QueueOptions

  func validate() throws {
    if let name, !AgentDefinition.isID(name) { throw ValidationError("\(DefinitionError.badID(name))") }
  }

  func run() throws {
    let name = name
    let daemons = try options.ask { try await $0.invalidateDefinitions(of: name) }
    try options.show(["invalidated": .string(name ?? "all"), "daemons": .integer(Int64(daemons))]) {
      let what = name.map { "agent \($0)" } ?? "all agents"
      print(
        daemons == 0
          ? "\(what): no coordinator or runner listens; those that start read what is there"
          : "\(what): \(daemons) coordinators and runners look again")
    }
  }
}

extension Configuration {
  /// What a daemon serves for those who publish definitions.
  func makeCacheEndpoint(_ queue: WorkQueue, _ metrics: Observe.Metrics) -> CacheEndpoint {
    CacheEndpoint(
      token: cacheToken, metrics: metrics, isAgent: AgentDefinition.isID,
      invalidate: { try await queue.invalidateDefinitions(of: $0) })
  }
}

extension Daemon {
  /// Hears, until its task is cancelled, which definitions have changed, and has them looked at again.
  static func followInvalidations(
    _ queue: WorkQueue, _ metrics: Observe.Metrics, _ logger: Logger,
    invalidate: @escaping @Sendable (_ agentID: String?) async -> Void
  ) async {
    // Why they aren't heard; nil while they are.
    let trouble = Mutex<String?>(nil)
    await queue.hearInvalidations { news in
      switch news {
      case .changed(let agentID):
        logger.info("definitions are looked at again", metadata: ["agent_id": "\(agentID ?? "all")"])
        await invalidate(agentID)
        metrics.increment("botburrow_invalidations_heard_total", [("reason", "changed")])
      case .listening:
        let wasDeaf = trouble.withLock { trouble in
          defer { trouble = nil }
          return trouble != nil
        }
        if wasDeaf { logger.notice("invalidations of definitions are heard again; all are looked at") }
        await invalidate(nil)
        metrics.increment("botburrow_invalidations_heard_total", [("reason", "listening")])
      case .deaf(let error):
        // One that passed may have hidden another that doesn't.
        let isNew = trouble.withLock { trouble in
          defer { trouble = "\(error)" }
          return trouble != "\(error)"
        }
        if isNew {
          logger.warning("invalidations of definitions aren't heard for now", metadata: ["error": "\(error)"])
        }
      }
    }
  }
}
