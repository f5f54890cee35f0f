import JSON
import Redis
import TestSupport
import Testing

extension Acceptance {
  /// What `botburrow doctor` says of a real Redis.
  @Suite struct DoctorTests {
    private func findings(_ redis: String) async throws -> [String: JSONValue] {
      let folder = try Folder()
      defer { folder.remove() }
      let program = try await Program.start(
        "doctor", [Product.botburrow, "doctor", "--json", "--profiles", Product.profiles, "--redis", redis],
        in: folder.path)
      _ = try await program.ended(within: .seconds(60))
      let all = try JSONValue(parsing: Array(program.output.utf8)).array ?? []
      return Dictionary(
        all.filter { $0["subject"]?.string?.hasPrefix("redis") == true }.map { ($0["subject"]?.string ?? "", $0) }
      ) { $1 }
    }

    @Test func whereWorkCanBeLostItSaysSo() async throws {
      let server = try await RedisServer()
      let plain = RedisConnection(server.url)
      defer { plain.close() }
      let names = ["redis", "redis persistence", "redis disk", "redis memory"]
      let url = "unix://\(server.url.endpoint)"
      let good = try await findings(url)
      #expect(names.map { good[$0]?["state"]?.string } == ["ok", "ok", "ok", "ok"], "\(good)")

      for (name, value) in [("appendonly", "no"), ("maxmemory", "1gb"), ("maxmemory-policy", "allkeys-lru")] {
        _ = try await plain.command(["CONFIG", "SET", RedisArgument(name), RedisArgument(value)])
      }
      let bad = try await findings(url)
      #expect(names.map { bad[$0]?["state"]?.string } == ["ok", "limited", "ok", "limited"])
      #expect(bad["redis memory"]?["advice"]?.string == "maxmemory-policy noeviction")

      // One who may not ask for the configuration is told so, and learns the rest.
      _ = try await plain.command(
        ["ACL", "SETUSER", "burrow", "on", ">p"]
          + RedisURL.neededRules.split(separator: " ").map { RedisArgument(String($0)) })
      let asked = try await findings("unix://burrow:p@\(server.url.endpoint)")
      #expect(asked["redis persistence"]?["state"]?.string == "limited")

      let absent = try await findings("unix:///nonexistent/redis")
      #expect(absent["redis"]?["state"]?.string == "limited")
      #expect(absent["redis"]?["detail"]?.string?.contains("can't be reached") == true)
    }
  }
}
