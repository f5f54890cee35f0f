/// Where a daemon listens: `host:port`, `[v6]:port` or `unix:/path`.
public enum ListenAddress: Sendable, Hashable, CustomStringConvertible {
  /// TCP; port 0 takes a free one.
  case tcp(host: String, port: Int)
  /// A Unix socket.
  case unix(path: String)

  /// Reads `host:port`, `[v6]:port` or `unix:/path`; nil for anything else.
  public init?(_ text: String) {
    if text.hasPrefix("unix:") {
      let path = text.dropFirst("unix:".count)
      // sockaddr_un has room for 107 bytes and an end mark (unix(7)).
      guard path.hasPrefix("/"), path.utf8.count <= 107 else { return nil }
      self = .unix(path: String(path))
      return
    }
    guard let colon = text.lastIndex(of: ":"), let port = Int(text[text.index(after: colon)...]),
      (0...65535).contains(port)
    else { return nil }
    var host = text[..<colon]
    if host.hasPrefix("["), host.hasSuffix("]") {
      host = host.dropFirst().dropLast()
    } else if host.contains(":") {
      return nil
    }
    guard !host.isEmpty else { return nil }
    self = .tcp(host: String(host), port: port)
  }

  /// As it is written in the file.
  public var description: String {
    switch self {
    case .tcp(let host, let port): host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
    case .unix(let path): "unix:\(path)"
    }
  }

  /// The address of the `number`th of several alike, from 1.
  func instance(_ number: Int) -> ListenAddress {
    switch self {
    case .tcp(let host, let port): .tcp(host: host, port: port == 0 ? 0 : port + number - 1)
    case .unix(let path) where number == 1: .unix(path: path)
    case .unix(let path):
      if path.hasSuffix(".sock") {
        .unix(path: "\(path.dropLast(".sock".count))-\(number).sock")
      } else {
        .unix(path: "\(path)-\(number)")
      }
    }
  }
}
