/// The first words with a server: who we are, and whether it is one that we can work with.
///
/// One round trip: `HELLO 2 [AUTH user password]` logs in and tells version, mode and role. It is answered while the server loads its
/// data, and no ACL forbids it.
struct Greeting: Sendable, Hashable {
  /// Why a connection is not used.
  struct Refusal: Error, Sendable, Hashable {
    /// Somebody has to change something first.
    var isFinal: Bool
    /// What was found and what to do.
    var reason: String
    static func final(_ reason: String) -> Refusal { Refusal(isFinal: true, reason: reason) }
    static func passing(_ reason: String) -> Refusal { Refusal(isFinal: false, reason: reason) }
  }
  /// Whom we want to meet.
  enum Peer: Sendable, Hashable {
    case primary
    /// The same, named by its sentinels.
    case primaryBySentinel
    case sentinel
  }

  static func hello(user: String?, password: String?) -> [RedisArgument] {
    guard let password else { return ["HELLO", "2"] }
    return ["HELLO", "2", "AUTH", RedisArgument(user ?? "default"), RedisArgument(password)]
  }

  /// What the answer to `hello` means; nil: go on.
  static func refusal(_ reply: RedisValue, from peer: Peer) -> Refusal? {
    if case .error(let message) = reply { return refusal(message, from: peer) }
    let fields = fields(reply)
    let version = fields["version"]?.string ?? ""
    switch (peer, fields["mode"]?.string) {
    case (.sentinel, "sentinel"): return nil
    case (.sentinel, _): return .final("it is no sentinel: give the sentinels' ports in redis.url (26379 by default)")
    case (_, "sentinel"):
      return .final("it is a sentinel: write redis-sentinel://host:26379/NAME, NAME as in 'sentinel monitor'")
    case (_, "cluster"):
      return .final("it is a node of a cluster; " + RedisURL.noCluster + " that runs with cluster-enabled no")
    default: break
    }
    if !isNewEnough(version) {
      return .final("it is version \(version.isEmpty ? "unknown" : version); Redis 7.0, or Valkey, or newer is needed")
    }
    guard fields["role"]?.string != "master" else { return nil }
    // A failover may make it the primary, or tell us another.
    return .passing(
      peer == .primary
        ? "it is a replica, which takes no writes: give its primary, or have it found: redis-sentinel://host:26379/NAME"
        : "it is a replica: the failover isn't over, or its sentinels don't agree")
  }

  /// What a server says instead of an answer, to `HELLO`, `SELECT`, or before anything was asked.
  static func refusal(_ message: String, from peer: Peer) -> Refusal {
    let code = String(message.prefix { $0 != " " })
    switch code {
    case "WRONGPASS": return .final("\(message): \(peer.wrongLogin)")
    case "NOAUTH": return .final("NOAUTH: \(peer.missingPassword)")
    case "NOPERM": return .final("\(message): \(peer.missingRules)")
    case "DENIED":
      return .final(
        "it is in protected mode and takes local clients alone: set a password there (requirepass, or an ACL user)")
    case "NOPROTO": return .final(message)
    default: break
    }
    if message.contains("unknown command") {
      return .final(
        "it doesn't know HELLO, so it is older than 6.0 or has the command renamed; Redis 7.0, or Valkey, or newer is needed"
      )
    }
    if message.contains("DB index is out of range") || message.contains("invalid DB index") {
      return .final("it has no such database: raise 'databases' there, or write another number in redis.url")
    }
    if message.contains("SELECT is not allowed in cluster mode") {
      return .final("it is a node of a cluster; " + RedisURL.noCluster)
    }
    if message.contains("max number of clients") {
      return .passing("it has as many clients as it takes (maxclients)")
    }
    return .passing(message)
  }

  /// What the transport says when the other side isn't what it should be.
  static func refusal(lost reason: String) -> Refusal {
    // The first byte of a TLS record that holds an alert.
    if reason.contains(#"Protocol error, got "\x15""#) {
      return .final(
        "its port speaks TLS, which isn't spoken here: run a stunnel on this host, or give a port without TLS")
    }
    if reason.hasPrefix("Protocol error") { return .final("what listens there is no Redis (\(reason))") }
    if ["reset", "closed", "Broken pipe"].contains(where: { reason.contains($0) }) {
      return .passing(
        "it hung up at the greeting (\(reason)): its port may speak TLS, which isn't spoken here, or it has as many clients as it takes"
      )
    }
    return .passing(reason)
  }

  /// Script flags came with Redis 7.0; every Valkey has them.
  static func isNewEnough(_ version: String) -> Bool {
    (version.split(separator: ".").first.flatMap { Int($0) } ?? 0) >= 7
  }

  private static func fields(_ reply: RedisValue) -> [String: RedisValue] {
    let flat = reply.array ?? []
    var fields: [String: RedisValue] = [:]
    for index in stride(from: 0, to: flat.count - 1, by: 2) {
      if let name = flat[index].string { fields[name] = flat[index + 1] }
    }
    return fields
  }
}

/// A sentinel's login stands elsewhere than the primary's, and its user needs other rules.
extension Greeting.Peer {
  fileprivate var wrongLogin: String {
    self == .sentinel
      ? "the sentinels' user or password in redis.url (sentinel_user, sentinel_password) is wrong"
      : "its user or password in redis.url is wrong"
  }
  fileprivate var missingPassword: String {
    switch self {
    case .primary: "its password is missing in redis.url, as redis://user:password@host or redis://:password@host"
    case .primaryBySentinel: "its password is missing in redis.url, as redis-sentinel://user:password@host/NAME"
    case .sentinel:
      "the sentinels' password is missing in redis.url, as redis-sentinel://host/NAME?sentinel_password=… "
        + "(with &sentinel_user=… where it isn't 'default')"
    }
  }
  fileprivate var missingRules: String {
    self == .sentinel
      ? "the sentinels' ACL user needs \(RedisURL.neededSentinelRules)" : "its ACL user needs \(RedisURL.neededRules)"
  }
}
