import Doctor
import Testing

@Suite struct RedisFactsTests {
  static let good = """
    # Server\r
    redis_version:7.0.15\r
    # Persistence\r
    aof_enabled:1\r
    aof_last_write_status:ok\r
    aof_last_bgrewrite_status:ok\r
    rdb_last_bgsave_status:ok\r
    # Memory\r
    used_memory:10485760\r
    maxmemory:0\r
    maxmemory_policy:noeviction\r

    """
  static let durable = ["appendonly": "yes", "appendfsync": "always"]

  /// The findings that aren't ok, with one thing changed.
  static func trouble(_ old: String = "", _ new: String = "", config: [String: String]? = durable) -> [Finding] {
    let text = old.isEmpty ? good : good.split(separator: old, omittingEmptySubsequences: false).joined(separator: new)
    return RedisFacts(info: text, config: config).findings(at: "h:6379").filter { $0.state != .ok }
  }

  @Test func whatIsWellIsSaid() {
    let findings = RedisFacts(info: Self.good, config: Self.durable).findings(at: "h:6379")
    #expect(findings.allSatisfy { $0.state == .ok })
    #expect(
      findings.map(\.detail) == [
        "Redis 7.0.15 at h:6379", "append-only file, on disk before each answer", "its last writes succeeded",
        "10 MiB used, no limit, maxmemory-policy noeviction",
      ])
    let valkey = RedisFacts(info: "redis_version:7.2.4\nvalkey_version:8.1.0\n", config: Self.durable)
    #expect(valkey.findings(at: "h:1").first?.detail == "Valkey 8.1.0 at h:1")
    let second = RedisFacts(info: Self.good, config: ["appendonly": "yes", "appendfsync": "everysec"])
    #expect(second.findings(at: "h:1")[1].detail.contains("may forget the last second"))
    let unasked = RedisFacts(info: Self.good, config: nil)
    #expect(unasked.findings(at: "h:1")[1].detail.contains("its ACL forbids CONFIG GET"))
  }

  @Test(arguments: [
    ("7.0.15", "6.2.14", "Redis 6.2.14", "use Redis 7.0 or newer"),
    ("aof_last_write_status:ok", "aof_last_write_status:err", "failed to write the append-only file", "make room"),
    ("rdb_last_bgsave_status:ok", "rdb_last_bgsave_status:err", "failed to write the snapshot", "make room"),
    ("noeviction", "allkeys-lru", "throws work away", "maxmemory-policy noeviction"),
    ("maxmemory:0", "maxmemory:11000000", "10 MiB at most", "raise maxmemory"),
  ])
  func whatIsNotWellIsSaidWithAdvice(_ old: String, _ new: String, _ detail: String, _ advice: String) throws {
    let trouble = Self.trouble(old, new)
    #expect(trouble.count == 1)
    let finding = try #require(trouble.first)
    #expect(finding.state == .limited && finding.detail.contains(detail) && finding.advice.contains(advice))
  }

  @Test func persistenceThatIsOffOrSlow() {
    for facts in [
      Self.trouble(config: ["appendonly": "no", "appendfsync": "everysec"]),
      Self.trouble("aof_enabled:1", "aof_enabled:0", config: nil),
    ] {
      #expect(facts.map(\.subject) == ["redis persistence"])
      #expect(
        facts.first?.detail.contains("are lost") == true && facts.first?.advice.contains("appendonly yes") == true)
    }
    let slow = Self.trouble(config: ["appendonly": "yes", "appendfsync": "no"])
    #expect(slow.map(\.subject) == ["redis persistence"] && slow.first?.detail.contains("half a minute") == true)
  }
}
