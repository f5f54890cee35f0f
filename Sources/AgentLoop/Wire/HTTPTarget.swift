/// Where a request goes: `http://` with an IPv4 address, as gateways are named inside a sandbox, where there is no DNS. Pure.
public struct HTTPTarget: Sendable, Hashable {
  /// In host byte order.
  public var address: UInt32
  /// The TCP port; 80 where the URL has none.
  public var port: UInt16
  /// With its query; `/` at least.
  public var path: String
  /// The header `Host`.
  public var host: String

  /// Reads a URL; nil where it is none of that kind.
  public init?(_ url: String) {
    guard url.hasPrefix("http://"), !url.utf8.contains(where: { $0 <= 0x20 || $0 == 0x7F }) else { return nil }
    let rest = url.dropFirst("http://".count)
    let authority = rest.prefix { $0 != "/" && $0 != "?" }
    let parts = authority.split(separator: ":", omittingEmptySubsequences: false)
    guard parts.count <= 2, let address = Self.address(parts[0]),
      let port = parts.count == 2 ? UInt16(parts[1]) : 80, port > 0
    else { return nil }
    let path = rest.dropFirst(authority.count)
    self.address = address
    self.port = port
    self.path = path.hasPrefix("/") ? String(path) : "/" + path
    host = String(authority)
  }

  private static func address(_ text: Substring) -> UInt32? {
    if text == "localhost" { return 0x7F00_0001 }
    let parts = text.split(separator: ".", omittingEmptySubsequences: false).map { UInt8($0) }
    guard parts.count == 4 else { return nil }
    return parts.reduce(UInt32?.some(0)) { sum, part in
      guard let sum, let part else { return nil }
      return sum << 8 | UInt32(part)
    }
  }

  /// The head of a POST whose answer ends the connection (RFC 9112).
  public func head(_ headers: [(name: String, value: String)], bodyCount: Int) -> String {
    var text = "POST \(path) HTTP/1.1\r\nHost: \(host)\r\nConnection: close\r\nContent-Length: \(bodyCount)\r\n"
    for header in headers { text += "\(header.name): \(header.value)\r\n" }
    return text + "\r\n"
  }
}
