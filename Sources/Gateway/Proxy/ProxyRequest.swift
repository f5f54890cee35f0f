import Addresses

/// The head of a request to a proxy: `CONNECT host:port` or `GET http://host/path` (RFC 9110 section 9.3.6, RFC 9112
/// section 3.2). Pure.
struct ProxyRequest: Sendable, Hashable {
  /// Where it wants to go.
  var target: HostPort
  /// What is sent there first; nil for CONNECT, where the client speaks for itself.
  var forwarded: [UInt8]?

  /// The longest head.
  static let limit = 16 << 10

  /// Where the head of what has come so far ends, behind its empty line; nil where it isn't whole.
  static func end(in bytes: some Collection<UInt8>) -> Int? {
    var matched = 0
    let mark: [UInt8] = [13, 10, 13, 10]
    for (index, byte) in bytes.enumerated() {
      matched = byte == mark[matched] ? matched + 1 : (byte == 13 ? 1 : 0)
      if matched == 4 { return index + 1 }
    }
    return nil
  }

  /// Reads a head, with its empty line.
  init(head: some Collection<UInt8>) throws(ProxyRefusal) {
    guard let text = String(validating: head, as: UTF8.self),
      text.utf8.allSatisfy({ $0 >= 32 && $0 != 127 || $0 == 9 || $0 == 13 || $0 == 10 })
    else { throw .badRequest("the request's head is not text") }
    let lines = text.split(separator: "\r\n", omittingEmptySubsequences: false).map(String.init)
    guard !lines.contains(where: { $0.utf8.contains(10) || $0.utf8.contains(13) }) else {
      throw .badRequest("a line of the request's head has no proper end")
    }
    let words = lines[0].split(separator: " ", omittingEmptySubsequences: false).map(String.init)
    guard words.count == 3, words[2] == "HTTP/1.1" || words[2] == "HTTP/1.0" else {
      throw .badRequest("this is not a request of HTTP/1.1")
    }
    if words[0] == "CONNECT" {
      guard let target = HostPort(words[1]) else { throw .badRequest("CONNECT takes host:port") }
      self.target = target
      return
    }
    guard words[1].lowercased().hasPrefix("http://") else {
      throw .badRequest("this proxy takes CONNECT host:port, or http:// URLs")
    }
    let rest = words[1].dropFirst("http://".count)
    let authority = rest.prefix { !"/?#".contains($0) }
    var path = String(rest.dropFirst(authority.count).prefix { $0 != "#" })
    if !path.hasPrefix("/") { path = "/" + path }
    guard let target = HostPort(String(authority), defaultPort: 80) else {
      throw .badRequest("the URL's host can't be read")
    }
    self.target = target
    // One request a connection: what follows on it must not go where this one was allowed to.
    var sent = ["\(words[0]) \(path) HTTP/1.1", "Host: \(authority)"]
    for line in lines.dropFirst() where !line.isEmpty {
      guard let colon = line.firstIndex(of: ":"), colon > line.startIndex, !line.hasPrefix(" "), !line.hasPrefix("\t")
      else {
        throw .badRequest("a header of the request can't be read")
      }
      if !Self.ownHeaders.contains(line[..<colon].lowercased()) { sent.append(line) }
    }
    sent.append("Connection: close")
    forwarded = Array((sent.joined(separator: "\r\n") + "\r\n\r\n").utf8)
  }

  /// Between a client and its proxy alone (RFC 9110 section 7.6.1), and those that are written anew.
  private static let ownHeaders: Set<String> = [
    "host", "connection", "proxy-connection", "proxy-authorization", "proxy-authenticate", "keep-alive", "te",
    "upgrade",
  ]
}
