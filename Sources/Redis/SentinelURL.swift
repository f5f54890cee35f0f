extension RedisURL {
  /// What follows `redis-sentinel://`.
  init(sentinels text: Substring) throws(RedisURLError) {
    let (login, place, query) = try Self.split(text)
    let parts = place.split(separator: "/", omittingEmptySubsequences: false)
    guard (2...3).contains(parts.count), !parts[1].isEmpty else {
      throw RedisURLError("the Redis URL names no primary; write redis-sentinel://host:26379,host:26379/name/0")
    }
    var hosts: [Sentinels.Host] = []
    for part in parts[0].split(separator: ",", omittingEmptySubsequences: false) {
      let (host, port) = try Self.hostAndPort(part, standard: 26379)
      hosts.append(Sentinels.Host(host: host, port: port))
    }
    var group = Sentinels(hosts: hosts, name: try Self.decoded(parts[1]))
    if let query { try Self.read(query, into: &group) }
    self.init(
      address: .sentinels(group), user: login.user, password: login.password,
      database: parts.count == 3 && !parts[2].isEmpty ? try Self.database(parts[2]) : 0)
  }

  /// A '?' may be of the login's password, and an '@' of the query's: a query is what begins with one of its names, or comes behind
  /// the login.
  private static func split(
    _ text: Substring
  ) throws(RedisURLError) -> (login: (user: String?, password: String?), place: Substring, query: Substring?) {
    if let mark = text.firstRange(of: "?sentinel_") {
      let (login, place) = try splitLogin(text[..<mark.lowerBound])
      return (login, place, text[text.index(after: mark.lowerBound)...])
    }
    let (login, place) = try splitLogin(text)
    guard let question = place.firstIndex(of: "?") else { return (login, place, nil) }
    return (login, place[..<question], place[place.index(after: question)...])
  }

  private static func read(_ query: Substring, into group: inout Sentinels) throws(RedisURLError) {
    for pair in query.split(separator: "&") {
      let words = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      switch words[0] {
      case "sentinel_user" where words.count == 2: group.user = try decoded(words[1])
      case "sentinel_password" where words.count == 2: group.password = try decoded(words[1])
      default:
        throw RedisURLError(
          "the Redis URL's query is not known; redis-sentinel:// takes sentinel_user and sentinel_password")
      }
    }
    guard group.user == nil || group.password != nil else {
      throw RedisURLError("the Redis URL has a sentinel_user without a sentinel_password")
    }
  }
}
