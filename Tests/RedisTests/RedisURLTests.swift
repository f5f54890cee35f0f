import Redis
import Testing

@Suite struct RedisURLTests {
  @Test func addressesAreRead() throws {
    #expect(try RedisURL("redis://cache.example") == RedisURL(address: .tcp(host: "cache.example", port: 6379)))
    #expect(
      try RedisURL("redis://me:p%40ss%2F@10.0.0.1:7000/3")
        == RedisURL(address: .tcp(host: "10.0.0.1", port: 7000), user: "me", password: "p@ss/", database: 3))
    #expect(try RedisURL("redis://:secret@h") == RedisURL(address: .tcp(host: "h", port: 6379), password: "secret"))
    #expect(try RedisURL("redis://[::1]:6380/") == RedisURL(address: .tcp(host: "::1", port: 6380)))
    let two = [RedisURL.Sentinels.Host(host: "a", port: 26379), RedisURL.Sentinels.Host(host: "::1", port: 5000)]
    let sentinels = try RedisURL("redis-sentinel://me:p@a,[::1]:5000/main/2")
    #expect(
      sentinels
        == RedisURL(address: .sentinels(.init(hosts: two, name: "main")), user: "me", password: "p", database: 2))
    #expect(sentinels.endpoint == "a:26379,[::1]:5000/main")
    #expect(
      try RedisURL("redis-sentinel://a/main?sentinel_user=s&sentinel_password=%26")
        == RedisURL(address: .sentinels(.init(hosts: [two[0]], name: "main", user: "s", password: "&"))))
    #expect(
      try RedisURL("unix:///run/redis.sock?db=2") == RedisURL(address: .unix(path: "/run/redis.sock"), database: 2))
  }

  @Test(arguments: [
    ("localhost:6379", "the Redis URL has no scheme; write redis://host:6379/0 or unix:///path/to/socket"),
    (
      "rediss://h",
      "rediss:// is not supported: run stunnel beside this program and give its local address as redis://127.0.0.1:PORT, or use unix:///path/to/socket"
    ),
    (
      "redis-cluster://h",
      "Redis Cluster is not supported, because the work lists share no hash slot: give the URL of one primary, as redis://host:6379/0"
    ),
    (
      "redis://a:1,b:2",
      "the Redis URL names several hosts; Redis Cluster is not supported: give the URL of one primary, as redis://host:6379/0, or its sentinels, as redis-sentinel://host,host/name"
    ),
    (
      "http://h",
      "the Redis URL's scheme 'http' is not known; write redis://host:6379/0, unix:///path/to/socket or redis-sentinel://host:26379/name"
    ),
    ("redis-sentinel://a:1,b:2", "the Redis URL names no primary; write redis-sentinel://host:26379,host:26379/name/0"),
    ("redis-sentinel://a,,b/main", "the Redis URL has no host; write redis://host:6379/0"),
    (
      "redis-sentinel://a/main?db=1",
      "the Redis URL's query is not known; redis-sentinel:// takes sentinel_user and sentinel_password"
    ), ("redis-sentinel://a/main?sentinel_user=s", "the Redis URL has a sentinel_user without a sentinel_password"),
    ("redis://", "the Redis URL has no host; write redis://host:6379/0"),
    (
      "redis://h:x",
      "the Redis URL's port is not a number from 1 to 65535; a login stands before the host, as redis://user:password@host"
    ),
    (
      "redis://h/one",
      "the Redis URL's database is not a number of 0 or more; a login stands before the host, as redis://user:password@host"
    ),
    (
      "redis://me@h",
      "the Redis URL has a user without a password; write redis://user:password@host or redis://:password@host"
    ),
    (
      "redis://:a%2@h",
      "the Redis URL's user or password has a '%' that two hexadecimal digits don't follow; write '%' as %25"
    ),
    ("unix://run/redis", "the Redis URL's socket path is not absolute; write unix:///path/to/socket"),
    ("unix:///s?x=1", "the Redis URL's query is not known; write unix:///path/to/socket?db=N"),
  ])
  func badOnesSayWhatToWrite(_ text: String, _ message: String) {
    #expect(throws: RedisURLError(message)) { try RedisURL(text) }
  }

  /// A host that was forgotten, or signs in a password that should have been written otherwise.
  @Test(arguments: [
    "redis://default:s3cret/0", "redis://:s3cret", "redis://u:7/s3cret", "redis://h:s3cret:1x", "redis://u:7?s3cret",
    "redis-sentinel://u:s3cret/main", "redis-sentinel://u:7/main/s3cret", "redis-sentinel://u:s3cret?x@",
    "redis-sentinel://u:s3cret?x@h", "redis-sentinel://u:a/s3cret?x@h/main/x", "unix:///s?db=s3cret",
    "redis-sentinel://h/main?sentinel_user=u&s3cret", "redis-sentinel://h/main?sentinel_password=s3cret%",
  ])
  func badOnesNeverRepeatAPassword(_ text: String) {
    let error = #expect(throws: RedisURLError.self) { try RedisURL(text) }
    #expect(error?.description.contains("s3cret") == false, "\(error?.description ?? "")")
  }

  @Test func signsInPasswordsOfSentinelsAreTheirs() throws {
    let hosts = [RedisURL.Sentinels.Host(host: "a", port: 26379)]
    #expect(
      try RedisURL("redis-sentinel://:p?s/s@a/main")
        == RedisURL(address: .sentinels(.init(hosts: hosts, name: "main")), password: "p?s/s"))
    #expect(
      try RedisURL("redis-sentinel://:p?s@a/main/1?sentinel_password=x@y?z")
        == RedisURL(
          address: .sentinels(.init(hosts: hosts, name: "main", password: "x@y?z")), password: "p?s", database: 1))
  }
}
