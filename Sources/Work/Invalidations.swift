import Redis

/// What a daemon hears of the definitions that it keeps.
public enum DefinitionNews: Sendable, Hashable {
  /// This agent's, or all where it is nil, may have changed.
  case changed(agentID: String?)
  /// Heard from now on; what was said before may have been missed, so any may have changed.
  case listening
  /// Not heard for a while.
  case deaf(RedisError)
}

extension WorkQueue {
  /// Tells every daemon that an agent's definition, or all where it is nil, may have changed. An agent that didn't explore is looked
  /// at again soon.
  /// - Returns: how many daemons heard it.
  public func invalidateDefinitions(of agentID: String?) async throws(RedisError) -> Int {
    let reply = try await connection.script(
      Scripts.invalidate, arguments: [RedisArgument(invalidationChannel), RedisArgument(agentID ?? "")])
    guard let count = reply.integer else { throw unexpected("invalidate", reply) }
    return count
  }

  /// Hears what `invalidateDefinitions` says, over a connection of its own, until its task is cancelled.
  public func hearInvalidations(_ hear: @Sendable (DefinitionNews) async -> Void) async {
    let subscription = RedisSubscription(url, channel: invalidationChannel, commandTimeout: options.commandTimeout)
    await subscription.run { event in
      switch event {
      case .subscribed: await hear(.listening)
      case .message(let bytes):
        let id = String(decoding: bytes, as: UTF8.self)
        await hear(.changed(agentID: id.isEmpty ? nil : id))
      case .lost(let error): await hear(.deaf(error))
      }
    }
  }

  /// Channels are the server's, not the database's.
  private var invalidationChannel: String {
    url.database == 0 ? "botburrow:definitions" : "botburrow:definitions:\(url.database)"
  }
}
