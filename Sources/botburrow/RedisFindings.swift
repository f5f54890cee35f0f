import Configuration
import Doctor
import Redis

/// What doctor says of the Redis that the configuration names.
enum RedisFindings {
  /// Nothing where no Redis is named: `up` starts its own.
  static func read(config: String?, redis: String?) -> [Finding] {
    let url: RedisURL
    do {
      let named = try redis ?? SettingsOptions.file(config, parts: ["redis"]).redisURL
      guard let named else { return [] }
      url = try RedisURL(named)
    } catch {
      return [Finding("redis", .limited, "\(error)", "mend redis.url")]
    }
    do {
      return try blocking { try await facts(url) }.findings(at: url.endpoint)
    } catch {
      return [Finding("redis", .limited, "\(error)", "no work is done without it")]
    }
  }

  private static func facts(_ url: RedisURL) async throws(RedisError) -> RedisFacts {
    let connection = RedisConnection(url, commandTimeout: .seconds(3))
    defer { connection.close() }
    let info = try await connection.command(["INFO"]).string ?? ""
    var config: [String: String]? = [:]
    for name in ["appendonly", "appendfsync"] {
      do throws(RedisError) {
        config?[name] = try await connection.command(["CONFIG", "GET", RedisArgument(name)]).array?.last?.string
      } catch {
        // Forbidden by an ACL, or renamed; INFO knows some of it.
        guard case .refused = error.kind else { throw error }
        config = nil
      }
    }
    return RedisFacts(info: info, config: config)
  }
}
