/// What a Redis or Valkey says of itself, as far as it decides whether work can be lost there.
public struct RedisFacts: Sendable, Hashable {
  /// INFO's fields.
  public var info: [String: String]
  /// CONFIG GET's `appendonly` and `appendfsync`; nil: an ACL forbids to ask.
  public var config: [String: String]?

  /// Of the text of INFO (RESP2: lines `field:value`).
  public init(info: String, config: [String: String]?) {
    self.info = [:]
    for line in info.split(whereSeparator: \.isNewline) where line.first != "#" {
      guard let colon = line.firstIndex(of: ":") else { continue }
      self.info[String(line[..<colon])] = String(line[line.index(after: colon)...])
    }
    self.config = config
  }

  /// The product and its version.
  var version: String {
    if let valkey = info["valkey_version"] { return "Valkey \(valkey)" }
    return "Redis \(info["redis_version"] ?? "of an unknown version")"
  }

  /// What it means, in the order in which it matters.
  public func findings(at endpoint: String) -> [Finding] {
    [server(endpoint), persistence(), writes(), memory()]
  }

  private func server(_ endpoint: String) -> Finding {
    let major = info["redis_version"]?.split(separator: ".").first.flatMap { Int($0) } ?? 0
    return Finding(
      "redis", major >= 7 ? .ok : .limited, "\(version) at \(endpoint)",
      "use Redis 7.0 or newer, or Valkey: what runs must go on when memory is full, which takes script flags")
  }

  private func persistence() -> Finding {
    let isOn = (config?["appendonly"]).map { $0 == "yes" } ?? (info["aof_enabled"] == "1")
    guard isOn else {
      return Finding(
        "redis persistence", .limited,
        "no append-only file: after a crash it knows its last snapshot at best; retries, dead letters, answers that wait and items that others pushed are lost",
        "appendonly yes in its configuration, and CONFIG SET appendonly yes now")
    }
    switch config?["appendfsync"] {
    case "always": return Finding("redis persistence", .ok, "append-only file, on disk before each answer")
    case "everysec":
      return Finding(
        "redis persistence", .ok,
        "append-only file, appendfsync everysec: a crash may forget the last second, whose items are lost and whose work may be done again"
      )
    case let mode?:
      return Finding(
        "redis persistence", .limited,
        "append-only file, appendfsync \(mode): a crash of the host may forget half a minute",
        "appendfsync everysec, or always")
    case nil:
      return Finding(
        "redis persistence", .ok, "append-only file; how often it is on disk isn't known: its ACL forbids CONFIG GET")
    }
  }

  private func writes() -> Finding {
    let failed = [
      ("aof_last_write_status", "the append-only file"),
      ("aof_last_bgrewrite_status", "the append-only file's rewrite"),
      ("rdb_last_bgsave_status", "the snapshot"),
    ].filter { info[$0.0] ?? "ok" != "ok" }.map(\.1)
    return Finding(
      "redis disk", failed.isEmpty ? .ok : .limited,
      failed.isEmpty ? "its last writes succeeded" : "it failed to write \(failed.joined(separator: ", "))",
      "make room on its disk, and look into its log")
  }

  private func memory() -> Finding {
    let limit = info["maxmemory"].flatMap { Int($0) } ?? 0
    let used = info["used_memory"].flatMap { Int($0) } ?? 0
    let policy = info["maxmemory_policy"] ?? "noeviction"
    let size = "\(used / 1_048_576) MiB used, " + (limit == 0 ? "no limit" : "\(limit / 1_048_576) MiB at most")
    guard policy == "noeviction" else {
      // Without a limit nothing is thrown out yet.
      return Finding(
        "redis memory", .limited, "\(size), maxmemory-policy \(policy): when it is full it throws work away",
        "maxmemory-policy noeviction")
    }
    return Finding(
      "redis memory", limit == 0 || used < limit / 10 * 9 ? .ok : .limited, "\(size), maxmemory-policy noeviction",
      "raise maxmemory, or throw away what isn't needed (botburrow queue dead, purge): when it is full, new work waits in the Hub"
    )
  }
}
