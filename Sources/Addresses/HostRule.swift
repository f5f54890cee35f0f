/// One `host:port` that may be reached: `api.github.com:443`, `*.example.com:443`, `[2001:db8::1]:80`, `*:443`.
public struct HostRule: Sendable, Hashable, CustomStringConvertible {
  /// Which names it is for.
  public enum Host: Sendable, Hashable {
    /// This name, in lower case, without a dot at its end.
    case name(String)
    /// Every name below this one; not the name itself.
    case below(String)
    /// This address, written as such.
    case address(IPAddress)
    /// Any name and any address.
    case any
  }
  /// Which names it is for.
  public let host: Host
  /// 1…65535; nil for all of them.
  public let port: Int?

  /// Reads `HOST:PORT`; nil for anything else. A port must be there: `*` is every one.
  public init?(_ text: String) {
    guard let (host, port) = HostPort.split(text) else { return nil }
    if port == "*" {
      self.port = nil
    } else {
      guard let number = HostPort.port(port) else { return nil }
      self.port = number
    }
    if host == "*" {
      self.host = .any
    } else if let address = IPAddress(host) {
      self.host = .address(address)
    } else if host.hasPrefix("*.") {
      guard let name = HostPort.name(String(host.dropFirst(2))) else { return nil }
      self.host = .below(name)
    } else {
      guard let name = HostPort.name(host) else { return nil }
      self.host = .name(name)
    }
  }

  /// Whether a connection to this host and port is meant.
  public func admits(_ wanted: HostPort) -> Bool {
    guard port == nil || port == wanted.port else { return false }
    switch host {
    case .any: return true
    case .name(let name): return wanted.host == name
    case .below(let name): return wanted.host.hasSuffix("." + name)
    case .address(let address): return wanted.address == address
    }
  }

  /// As it is written.
  public var description: String {
    let port = port.map(String.init) ?? "*"
    return switch host {
    case .any: "*:\(port)"
    case .name(let name): "\(name):\(port)"
    case .below(let name): "*.\(name):\(port)"
    case .address(let address): address.isV6 ? "[\(address)]:\(port)" : "\(address):\(port)"
    }
  }
}

/// A host and port that somebody wants to reach.
public struct HostPort: Sendable, Hashable, CustomStringConvertible {
  /// A name in lower case without a dot at its end, or an address without brackets.
  public let host: String
  /// 1…65535.
  public let port: Int
  /// Where the host is an address as such.
  public let address: IPAddress?

  /// Reads `HOST:PORT`, or `HOST` where there is a port to fall back to; nil for anything else.
  public init?(_ text: String, defaultPort: Int? = nil) {
    let whole = Self.hasPort(text) ? text : text + (defaultPort.map { ":\($0)" } ?? "")
    guard let (host, port) = Self.split(whole), let number = Self.port(port) else { return nil }
    self.port = number
    address = IPAddress(host)
    guard let name = address.map(\.description) ?? Self.name(host) else { return nil }
    self.host = name
  }

  /// As it is written in URLs.
  public var description: String { address?.isV6 == true ? "[\(host)]:\(port)" : "\(host):\(port)" }

  private static func hasPort(_ text: String) -> Bool {
    text.hasPrefix("[") ? text.firstRange(of: "]:") != nil : text.contains(":")
  }

  static func split(_ text: String) -> (host: String, port: String)? {
    guard text.utf8.count <= 300, let colon = text.lastIndex(of: ":") else { return nil }
    var host = text[..<colon]
    let port = text[text.index(after: colon)...]
    if host.hasPrefix("[") {
      guard host.hasSuffix("]"), IPAddress(String(host.dropFirst().dropLast()))?.isV6 == true else { return nil }
      host = host.dropFirst().dropLast()
    } else if host.contains(":") {
      return nil
    }
    return host.isEmpty ? nil : (String(host), String(port))
  }

  static func port(_ text: String) -> Int? {
    guard !text.isEmpty, text.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let number = Int(text) else {
      return nil
    }
    return (1...65535).contains(number) ? number : nil
  }

  /// Letters, digits, hyphens, underscores and dots, as the DNS has them; what isn't ASCII must come encoded (RFC 5890).
  static func name(_ text: String) -> String? {
    let lower = text.hasSuffix(".") ? String(text.dropLast()).lowercased() : text.lowercased()
    guard !lower.isEmpty, lower.utf8.count <= 253 else { return nil }
    let parts = lower.split(separator: ".", omittingEmptySubsequences: false)
    let isFine = parts.allSatisfy { part in
      (1...63).contains(part.utf8.count)
        && part.utf8.allSatisfy {
          (0x61...0x7A).contains($0) || (0x30...0x39).contains($0) || $0 == 0x2D || $0 == 0x5F
        }
    }
    return isFine ? lower : nil
  }
}
