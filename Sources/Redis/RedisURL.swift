/// Where a Redis or Valkey primary listens, and how to log in.
///
/// - `redis://[[user]:password@]host[:port][/db]`, port 6379 and database 0 unless given;
/// - `unix://[[user]:password@]/path/to/socket[?db=N]`;
/// - `redis-sentinel://[[user]:password@]host[:port][,host[:port]…]/name[/db][?sentinel_user=…&sentinel_password=…]`: sentinels, port
///   26379 unless given, and the name under which they watch the primary. User and password are the primary's; the query's are the
///   sentinels' own.
///
/// User and password are percent-decoded (RFC 3986 section 2.1). `redis://:secret@host` logs in without a user name.
public struct RedisURL: Sendable, Hashable {
  /// The socket's address.
  public enum Address: Sendable, Hashable {
    case tcp(host: String, port: Int)
    case unix(path: String)
    /// Whom to ask for the primary.
    case sentinels(Sentinels)
  }
  /// Sentinels of one primary.
  public struct Sentinels: Sendable, Hashable {
    /// One of them.
    public struct Host: Sendable, Hashable {
      /// Name or address.
      public var host: String
      /// TCP port.
      public var port: Int
      /// Makes one.
      public init(host: String, port: Int) {
        self.host = host
        self.port = port
      }
    }
    /// In the order in which they are asked at first.
    public var hosts: [Host]
    /// The primary's name, as in `sentinel monitor NAME …`.
    public var name: String
    /// The sentinels' ACL user; nil logs in as `default`.
    public var user: String?
    /// The sentinels' password; nil: they have none.
    public var password: String?
    /// Makes a group.
    public init(hosts: [Host], name: String, user: String? = nil, password: String? = nil) {
      self.hosts = hosts
      self.name = name
      self.user = user
      self.password = password
    }
  }
  /// Where the server listens.
  public var address: Address
  /// ACL user; nil logs in as `default`.
  public var user: String?
  /// nil: no AUTH is sent.
  public var password: String?
  /// The database that SELECT chooses; 0 needs none.
  public var database: Int

  /// Makes an address from its parts.
  public init(address: Address, user: String? = nil, password: String? = nil, database: Int = 0) {
    self.address = address
    self.user = user
    self.password = password
    self.database = database
  }

  /// Reads a URL. Errors are one sentence and never repeat the password.
  public init(_ text: String) throws(RedisURLError) {
    guard let separator = text.firstRange(of: "://") else {
      throw RedisURLError("the Redis URL has no scheme; write redis://host:6379/0 or unix:///path/to/socket")
    }
    let scheme = text[..<separator.lowerBound].lowercased()
    let rest = text[separator.upperBound...]
    switch scheme {
    case "redis": try self.init(tcp: rest)
    case "unix": try self.init(unix: rest)
    case "redis-sentinel": try self.init(sentinels: rest)
    case "rediss":
      throw RedisURLError(
        "rediss:// is not supported: run stunnel beside this program and give its local address as redis://127.0.0.1:PORT, or use unix:///path/to/socket"
      )
    case "redis-cluster", "redis+cluster", "rediss-cluster":
      throw RedisURLError(
        "Redis Cluster is not supported, because the work lists share no hash slot: give the URL of one primary, as redis://host:6379/0"
      )
    default:
      throw RedisURLError(
        "the Redis URL's scheme '\(scheme)' is not known; write redis://host:6379/0, unix:///path/to/socket or redis-sentinel://host:26379/name"
      )
    }
  }

  private init(tcp text: Substring) throws(RedisURLError) {
    let (login, place) = try Self.splitLogin(text)
    if place.contains(",") {
      throw RedisURLError(
        "the Redis URL names several hosts; Redis Cluster is not supported: give the URL of one primary, as redis://host:6379/0, or its sentinels, as redis-sentinel://host,host/name"
      )
    }
    if place.contains("?") {
      throw RedisURLError("the Redis URL has a query; redis:// takes none, write the database as redis://host:6379/1")
    }
    let slash = place.firstIndex(of: "/")
    var database = 0
    if let slash {
      let path = place[place.index(after: slash)...]
      if !path.isEmpty { database = try Self.database(path) }
    }
    let (host, port) = try Self.hostAndPort(slash.map { place[..<$0] } ?? place, standard: 6379)
    self.init(
      address: .tcp(host: host, port: port), user: login.user, password: login.password, database: database)
  }

  private init(unix text: Substring) throws(RedisURLError) {
    let (login, place) = try Self.splitLogin(text)
    let question = place.firstIndex(of: "?")
    let path = question.map { place[..<$0] } ?? place
    guard path.hasPrefix("/") else {
      throw RedisURLError("the Redis URL's socket path is not absolute; write unix:///path/to/socket")
    }
    // sockaddr_un holds 108 bytes with the closing NUL (unix(7)).
    guard path.utf8.count < 108 else {
      throw RedisURLError("the Redis URL's socket path is longer than the 107 bytes that unix(7) allows")
    }
    var database = 0
    if let question {
      let query = place[place.index(after: question)...]
      guard query.hasPrefix("db=") else {
        throw RedisURLError("the Redis URL's query is not known; write unix:///path/to/socket?db=N")
      }
      database = try Self.database(query.dropFirst(3))
    }
    self.init(address: .unix(path: String(path)), user: login.user, password: login.password, database: database)
  }

  /// Where to connect, for messages: never with a password.
  public var endpoint: String { address.text }

  static func hostAndPort(
    _ authority: Substring, standard: Int
  ) throws(RedisURLError) -> (host: String, port: Int) {
    var host = authority
    var portText: Substring?
    if authority.hasPrefix("["), let end = authority.firstIndex(of: "]") {
      host = authority[authority.index(after: authority.startIndex)..<end]
      let tail = authority[authority.index(after: end)...]
      if tail.hasPrefix(":") { portText = tail.dropFirst() }
    } else if let colon = authority.lastIndex(of: ":") {
      host = authority[..<colon]
      portText = authority[authority.index(after: colon)...]
    }
    guard !host.isEmpty else { throw RedisURLError("the Redis URL has no host; write redis://host:6379/0") }
    guard let portText else { return (String(host), standard) }
    guard let port = Int(portText), (1...65535).contains(port) else {
      // Not shown: it may be a password.
      throw RedisURLError(
        "the Redis URL's port is not a number from 1 to 65535; a login stands before the host, as redis://user:password@host"
      )
    }
    return (String(host), port)
  }

  static func splitLogin(
    _ text: Substring
  ) throws(RedisURLError) -> (login: (user: String?, password: String?), place: Substring) {
    guard let at = text.lastIndex(of: "@") else { return ((nil, nil), text) }
    let login = text[..<at]
    let place = text[text.index(after: at)...]
    guard let colon = login.firstIndex(of: ":") else {
      throw RedisURLError(
        "the Redis URL has a user without a password; write redis://user:password@host or redis://:password@host")
    }
    let user = try decoded(login[..<colon])
    let password = try decoded(login[login.index(after: colon)...])
    return ((user.isEmpty ? nil : user, password), place)
  }

  static func decoded(_ text: Substring) throws(RedisURLError) -> String {
    var bytes: [UInt8] = []
    var rest = Array(text.utf8)[...]
    while let byte = rest.popFirst() {
      guard byte == UInt8(ascii: "%") else {
        bytes.append(byte)
        continue
      }
      let digits = String(decoding: rest.prefix(2), as: UTF8.self)
      guard digits.utf8.count == 2, let value = UInt8(digits, radix: 16) else {
        throw RedisURLError(
          "the Redis URL's user or password has a '%' that two hexadecimal digits don't follow; write '%' as %25")
      }
      bytes.append(value)
      rest = rest.dropFirst(2)
    }
    return String(decoding: bytes, as: UTF8.self)
  }

  static func database(_ text: Substring) throws(RedisURLError) -> Int {
    guard let number = Int(text), number >= 0 else {
      // Not shown: it may be the end of a password.
      throw RedisURLError(
        "the Redis URL's database is not a number of 0 or more; a login stands before the host, as redis://user:password@host"
      )
    }
    return number
  }
}

extension RedisURL.Address {
  /// For messages.
  var text: String {
    switch self {
    case .tcp(let host, let port): host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
    case .unix(let path): path
    case .sentinels(let group):
      group.hosts.map { Self.tcp(host: $0.host, port: $0.port).text }.joined(separator: ",") + "/" + group.name
    }
  }
}

/// A URL that says nothing usable.
public struct RedisURLError: Error, Sendable, Hashable, CustomStringConvertible {
  /// One sentence that tells what to write instead.
  public let description: String
  /// Makes an error that reads as `description`.
  public init(_ description: String) { self.description = description }
}
