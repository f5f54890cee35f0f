import Redis

/// A server that was killed, or lost its power, while it wrote a transaction leaves the first part of it at the end of its
/// append-only file. When it starts it drops what the transaction did, but cuts the file behind the last whole command, not
/// before the MULTI, and writes on from there: the next time it starts it applies that part as well (seen with Redis 7.0.15 and
/// Valkey 8.1.8: loadSingleAppendOnlyFile in aof.c leaves `valid_up_to` inside the MULTI). Of a claim that is an item gone from
/// its list without a lease. A file that is written anew from memory, which is right, has no such end.
///
/// A server that has started knows no script: whoever finds that before it recovers does this first.
extension WorkQueue {
  /// - Throws: `RedisError`, but where the server forbids it: then `takeRewriteRefusal` tells.
  func rewriteLog() async throws(RedisError) {
    do {
      let info = try await connection.command(["INFO", "persistence"]).string ?? ""
      guard info.contains("aof_enabled:1") else { return }
      _ = try await connection.command(["BGREWRITEAOF"])
    } catch {
      switch error.kind {
      // Somebody else asked for it a moment ago.
      case .refused(code: "ERR") where error.reason.contains("in progress"): return
      case .refused(code: "LOADING"): throw error
      case .refused: rewriteRefusal.withLock { $0 = error }
      default: throw error
      }
    }
  }

  /// What a log says beside `takeRewriteRefusal`.
  public static let rewriteRefused =
    "Redis did not write its append-only file anew after its start: a torn transaction in it may lose work at the next; allow "
    + "its user '+bgrewriteaof', or run 'redis-check-aof --fix' before each start"

  /// Why a server that has started did not write its append-only file anew; once, nil where there is nothing to tell.
  public func takeRewriteRefusal() -> RedisError? {
    rewriteRefusal.withLock { refusal in
      defer { refusal = nil }
      return refusal
    }
  }
}
