/// One HTTP request to a server outside.
public struct HTTPRequest: Sendable {
  /// The method, in capitals.
  public var method: String
  /// `http://` or `https://`. Sent as it is: percent-encode it first.
  public var url: String
  /// Names with values, in order. Secrets may be here: headers are never part of an error.
  public var headers: [(name: String, value: String)]
  /// What is sent below the headers; nil for nothing.
  public var body: [UInt8]?
  /// Limit on the whole exchange, from looking up the name to the answer's last byte.
  public var timeout: Duration
  /// Path of a Unix socket to connect to instead of the URL's host and port.
  public var unixSocket: String?

  /// A request; sends nothing by itself.
  public init(
    method: String = "GET", url: String, headers: [(name: String, value: String)] = [], body: [UInt8]? = nil,
    timeout: Duration = .seconds(30), unixSocket: String? = nil
  ) {
    self.method = method
    self.url = url
    self.headers = headers
    self.body = body
    self.timeout = timeout
    self.unixSocket = unixSocket
  }

  /// Why this can't be sent as it stands; nil when it can. A line break in a header would let its value smuggle in
  /// headers of its own (RFC 9110 section 5.5), and curl would pass it on.
  var defect: String? {
    let lower = url.prefix(8).lowercased()
    if !lower.hasPrefix("http://") && !lower.hasPrefix("https://") {
      return "the URL must begin with http:// or https://"
    }
    if url.utf8.contains(where: { $0 <= 0x20 || $0 == 0x7F }) {
      return "the URL holds a space or a control character; percent-encode it"
    }
    if method.isEmpty || !method.utf8.allSatisfy(Self.isTokenByte) { return "the method is not a word" }
    for header in headers {
      if header.name.isEmpty || !header.name.utf8.allSatisfy(Self.isTokenByte) {
        return "a header's name is empty or holds a character that names can't have"
      }
      if header.value.utf8.contains(where: { $0 == 0 || $0 == 10 || $0 == 13 }) {
        return "the value of header '\(header.name)' holds a line break"
      }
    }
    return nil
  }

  /// RFC 9110 section 5.6.2.
  private static func isTokenByte(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"):
      true
    default: "!#$%&'*+-.^_`|~".utf8.contains(byte)
    }
  }
}
