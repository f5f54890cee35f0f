import Testing

@testable import Redis

/// What is found out by the first answer of a server; decisions over values.
@Suite struct GreetingTests {
  static func hello(_ version: String = "7.0.15", mode: String = "standalone", role: String = "master") -> RedisValue {
    .array(
      ["server", "redis", "version", version, "proto", "2", "mode", mode, "role", role].map { .bytes(Array($0.utf8)) }
        + [.bytes(Array("modules".utf8)), .array([])])
  }

  @Test func aPrimaryIsWelcome() {
    #expect(Greeting.refusal(Self.hello(), from: .primary) == nil)
    #expect(Greeting.refusal(Self.hello("9.1.0"), from: .primaryBySentinel) == nil)
    #expect(Greeting.refusal(Self.hello("10.0.0"), from: .primary) == nil)
    #expect(Greeting.refusal(Self.hello(mode: "sentinel"), from: .sentinel) == nil)
    #expect(Greeting.hello(user: nil, password: nil) == ["HELLO", "2"])
    #expect(Greeting.hello(user: nil, password: "p") == ["HELLO", "2", "AUTH", "default", "p"])
    #expect(Greeting.hello(user: "u", password: "p") == ["HELLO", "2", "AUTH", "u", "p"])
  }

  @Test(
    arguments: [
      (hello("6.2.14"), Greeting.Peer.primary, true, "it is version 6.2.14; Redis 7.0, or Valkey, or newer is needed"),
      (.array([]), .primary, true, "it is version unknown;"),
      (hello(mode: "cluster"), .primary, true, "node of a cluster"),
      (hello(mode: "sentinel"), .primary, true, "write redis-sentinel://host:26379/NAME"),
      (hello(), .sentinel, true, "it is no sentinel"), (hello(role: "replica"), .primary, false, "give its primary"),
      (hello(role: "replica"), .primaryBySentinel, false, "the failover isn't over"),
      (
        .error("WRONGPASS invalid username-password pair or user is disabled."), .primary, true,
        "its user or password in redis.url is wrong"
      ),
      (
        .error("WRONGPASS invalid"), .sentinel, true,
        "the sentinels' user or password in redis.url (sentinel_user, sentinel_password) is wrong"
      ),
      (.error("NOAUTH HELLO must"), .sentinel, true, "redis-sentinel://host/NAME?sentinel_password=…"),
      (.error("NOAUTH HELLO must"), .primary, true, "redis://user:password@host"),
      (.error("NOAUTH HELLO must"), .primaryBySentinel, true, "redis-sentinel://user:password@host/NAME"),
      (
        .error("NOPERM this user has no permissions"), .sentinel, true,
        "the sentinels' ACL user needs +@connection +sentinel|get-master-addr-by-name"
      ), (.error("NOPERM this user has no permissions"), .primaryBySentinel, true, "its ACL user needs ~runner:*"),
      (
        .error("NOAUTH HELLO must be called with the client already authenticated, otherwise …"), .primary, true,
        "its password is missing"
      ),
      (.error("ERR unknown command 'HELLO', with args beginning with: '2'"), .primary, true, "older than 6.0"),
      (
        .error("DENIED Redis is running in protected mode because protected mode is enabled and …"), .primary, true,
        "set a password there"
      ),
      (.error("ERR max number of clients reached"), .primary, false, "maxclients"),
      (.error("LOADING Redis is loading the dataset in memory"), .primary, false, "LOADING"),
    ] as [(RedisValue, Greeting.Peer, Bool, String)])
  func othersAreToldWhatToDo(_ reply: RedisValue, _ peer: Greeting.Peer, _ isFinal: Bool, _ words: String) {
    let refusal = Greeting.refusal(reply, from: peer)
    #expect(refusal?.isFinal == isFinal)
    #expect(refusal?.reason.contains(words) == true, "\(refusal?.reason ?? "")")
  }

  @Test(arguments: [
    ("ERR DB index is out of range", true, "raise 'databases'"),
    ("NOPERM this user has no permissions to run the 'select' command", true, "+@connection"),
    ("ERR SELECT is not allowed in cluster mode", true, "node of a cluster"),
    ("ERR something that nobody knows", false, "ERR something that nobody knows"),
  ])
  func theChoiceOfADatabaseToo(_ message: String, _ isFinal: Bool, _ words: String) {
    let refusal = Greeting.refusal(message, from: .primary)
    #expect(refusal.isFinal == isFinal && refusal.reason.contains(words))
  }

  @Test func whatIsNoRedisIsNamed() {
    #expect(Greeting.refusal(lost: #"Protocol error, got "\x15" as reply type byte"#).reason.contains("stunnel"))
    let web = Greeting.refusal(lost: #"Protocol error, got "H" as reply type byte"#)
    #expect(web.isFinal && web.reason.contains("no Redis"))
    let hungUp = Greeting.refusal(lost: "Server closed the connection")
    #expect(!hungUp.isFinal && hungUp.reason.contains("may speak TLS"))
    #expect(Greeting.refusal(lost: "No route to host") == .passing("No route to host"))
  }

  @Test func sentinelsSayWhereThePrimaryIs() throws {
    let place = RedisValue.array([.bytes(Array("10.0.0.7".utf8)), .bytes(Array("6380".utf8))])
    #expect(try Greeting.primary(place, named: "main").get() == .tcp(host: "10.0.0.7", port: 6380))
    for (reply, isFinal, words) in [
      (RedisValue.null, true, "no primary named 'main'"),
      (.error("NOAUTH Authentication required."), true, "?sentinel_password="),
      (.error("NOPERM no permissions to run 'sentinel|get-master-addr-by-name'"), true, "+@connection +sentinel|"),
      (.integer(1), false, "not understood"), (.error("ERR busy"), false, "busy"),
    ] {
      guard case .failure(let refusal) = Greeting.primary(reply, named: "main") else {
        Issue.record("\(reply) was taken for a place")
        continue
      }
      #expect(refusal.isFinal == isFinal && refusal.reason.contains(words))
    }
  }

  @Test(arguments: [
    ("NOPERM this user has no permissions to run the 'evalsha' command", "+@scripting"),
    (
      "ERR The user executing the script can't access at least one of the keys mentioned in the command arguments script: a",
      "~botburrow:*"
    ),
    ("ERR ACL failure in script: No permissions to access a key script: a, on @user_script:2.", "~botburrow:*"),
    ("NOAUTH Authentication required.", "give a password"), ("MOVED 1234 10.0.0.1:6379", "Cluster is not supported"),
    ("MISCONF Redis is configured to save RDB snapshots, but …", "its disk"),
    ("OOM command not allowed when used memory > 'maxmemory'.", "raise maxmemory"),
  ])
  func refusedCommandsSayWhatToDo(_ message: String, _ words: String) {
    let code = String(message.prefix { $0 != " " })
    let error = RedisError(kind: .refused(code: code), operation: "EVALSHA", endpoint: "h:1", reason: message)
    #expect(error.description.hasPrefix("Redis at h:1 refused EVALSHA: \(code) "))
    #expect(!error.description.contains(".: "))
    #expect(error.description.contains(words))
    #expect(error.isTransient == ["OOM", "MISCONF"].contains(code))
  }
}
