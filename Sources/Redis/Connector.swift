/// Makes connections that are ready for commands: asks the sentinels where the primary is, connects, logs in, and looks whom it met.
struct Connector {
  private let url: RedisURL
  private let timeout: Duration
  /// Which sentinel is asked first: the last that named a primary which let us in.
  private var first = 0

  init(_ url: RedisURL, timeout: Duration) {
    self.url = url
    self.timeout = timeout
  }

  enum Made: ~Copyable {
    case connected(Socket)
    case refused(Greeting.Refusal)
  }

  /// - Parameter publish: told of each socket before it is used, so that others can shut it down, and of -1 before one is closed.
  mutating func connect(_ publish: (Int32) -> Void) -> Made {
    guard case .sentinels(let group) = url.address else {
      return connect(to: url.address, expecting: .primary, within: timeout, publish)
    }
    return connect(by: group, publish)
  }

  /// Asks one sentinel after the other until the primary that one names lets us in: one that was cut off names an old one. Each has
  /// a second, so that one that is gone doesn't use up the command's time.
  private mutating func connect(by group: RedisURL.Sentinels, _ publish: (Int32) -> Void) -> Made {
    var problems: [String] = []
    var silent: [Greeting.Refusal] = []
    var met: [RedisURL.Address: Greeting.Refusal] = [:]
    for turn in group.hosts.indices {
      let index = (first + turn) % group.hosts.count
      let sentinel = RedisURL.Address.tcp(host: group.hosts[index].host, port: group.hosts[index].port)
      switch ask(sentinel, group.name, publish) {
      case .failure(let refusal):
        problems.append("sentinel \(sentinel.text): \(refusal.reason)")
        silent.append(refusal)
      case .success(let primary):
        guard met[primary] == nil else { continue }
        switch connect(to: primary, expecting: .primaryBySentinel, within: timeout, publish) {
        case .connected(let socket):
          first = index
          return .connected(socket)
        case .refused(let refusal):
          problems.append("the primary at \(primary.text): \(refusal.reason)")
          met[primary] = refusal
        }
      }
    }
    // Where primaries were met, they tell whether it may pass.
    let judges = met.isEmpty ? silent : Array(met.values)
    return .refused(
      Greeting.Refusal(isFinal: judges.allSatisfy(\.isFinal), reason: problems.joined(separator: "; ")))
  }

  private func connect(
    to address: RedisURL.Address, expecting peer: Greeting.Peer, within limit: Duration, _ publish: (Int32) -> Void
  ) -> Made {
    switch Socket.connect(address, timeout: limit) {
    case .failed(let reason): return .refused(.passing(reason))
    case .connected(var socket):
      publish(socket.descriptor)
      guard let refusal = greet(&socket, as: peer, within: limit) else { return .connected(socket) }
      // Before it is closed: its number may then be another's.
      publish(-1)
      _ = consume socket
      return .refused(refusal)
    }
  }

  private func greet(_ socket: inout Socket, as peer: Greeting.Peer, within limit: Duration) -> Greeting.Refusal? {
    var (user, password) = (url.user, url.password)
    if peer == .sentinel, case .sentinels(let group) = url.address { (user, password) = (group.user, group.password) }
    switch socket.answer(Greeting.hello(user: user, password: password), within: limit) {
    case .failure(let refusal): return refusal
    case .success(let reply): if let refusal = Greeting.refusal(reply, from: peer) { return refusal }
    }
    guard peer != .sentinel, url.database != 0 else { return nil }
    return switch socket.answer(["SELECT", RedisArgument(url.database)], within: limit) {
    case .failure(let refusal): refusal
    case .success(.error(let message)): Greeting.refusal(message, from: peer)
    case .success: nil
    }
  }

  private func ask(
    _ sentinel: RedisURL.Address, _ name: String, _ publish: (Int32) -> Void
  ) -> Result<RedisURL.Address, Greeting.Refusal> {
    let limit = min(timeout, .seconds(1))
    switch connect(to: sentinel, expecting: .sentinel, within: limit, publish) {
    case .refused(let refusal): return .failure(refusal)
    case .connected(var socket):
      let answer = socket.answer(["SENTINEL", "get-master-addr-by-name", RedisArgument(name)], within: limit)
      publish(-1)
      _ = consume socket
      switch answer {
      case .failure(let refusal): return .failure(refusal)
      case .success(let reply): return Greeting.primary(reply, named: name)
      }
    }
  }
}

extension Greeting {
  /// Where the sentinels' answer says that the primary is.
  static func primary(_ reply: RedisValue, named name: String) -> Result<RedisURL.Address, Refusal> {
    switch reply {
    case .error(let message): return .failure(refusal(message, from: .sentinel))
    case .null:
      return .failure(.final("it watches no primary named '\(name)': see 'sentinel monitor' in its configuration"))
    default:
      guard let parts = reply.array, parts.count == 2, let host = parts[0].string, let port = parts[1].integer else {
        return .failure(.passing("an answer that is not understood: \(reply)"))
      }
      return .success(.tcp(host: host, port: port))
    }
  }
}

extension Socket {
  /// One command of the greeting.
  fileprivate mutating func answer(
    _ command: [RedisArgument], within limit: Duration
  ) -> Result<RedisValue, Greeting.Refusal> {
    switch self.command(command, timeout: limit) {
    case .value(let value): .success(value)
    case .timedOut: .failure(.passing("no answer to the login within \(limit)"))
    case .lost(let reason): .failure(Greeting.refusal(lost: reason))
    }
  }
}
