import HTTPClient
import JSON

/// What an answer outside 2xx means to the operator.
enum Refusal {
  /// One sentence, without the operation's name.
  static func reason(_ response: HTTPResponse) -> String {
    let said = words(response).map { ": \($0)" } ?? ""
    switch response.status {
    case 401: return "answered 401: the Hub does not accept the key; check hub.api_key"
    case 403: return "answered 403\(said); check what hub.api_key may do"
    case 300..<400:
      let place = response.header("location").map { " to \($0.clean)" } ?? ""
      return "answered \(response.status), a redirect\(place); set hub.url to where the Hub is"
    default: return "answered \(response.status)\(said)"
    }
  }

  /// The Hub's own words: `{"error":{"message":…}}`, `{"error":…}`, `{"detail":…}` (FastAPI), `{"message":…}`, or text.
  private static func words(_ response: HTTPResponse) -> String? {
    do {
      let body = try JSONValue(parsing: response.body)
      let text =
        body["error"]?["message"]?.string ?? body["error"]?.string ?? body["detail"]?.string
        ?? body["detail"]?.array?.first?["msg"]?.string ?? body["message"]?.string
      return text.map(\.clean)
    } catch {  // not JSON: a proxy's page, most likely
      let text = String(decoding: response.body.prefix(400), as: UTF8.self).clean
      return text.isEmpty || text.hasPrefix("<") ? nil : text
    }
  }
}

extension String {
  /// One short line.
  fileprivate var clean: String {
    let line = split(whereSeparator: { $0.isWhitespace || $0.isNewline }).joined(separator: " ")
    return line.count > 200 ? line.prefix(200) + "…" : line
  }
}

/// `Retry-After` (RFC 9110 §10.2.3): seconds, or a date.
enum RetryAfter {
  /// More than a day is no answer to "when again", and would put work off for ever.
  static let longest = Duration.seconds(86400)

  /// How long to wait from `now` (seconds since 1970), at most `longest`; nil where the text is neither form. A past date
  /// is no wait.
  static func duration(_ text: String, now: Int) -> Duration? {
    let text = text.trimmed
    if !text.isEmpty, text.utf8.allSatisfy({ 48...57 ~= $0 }) {
      // More digits than a number holds is long, too.
      return Int(text).map { min(.seconds($0), longest) } ?? longest
    }
    return date(text).map { min(.seconds(max(0, $0 - now)), longest) }
  }

  /// IMF-fixdate, the one form senders may use: `Sun, 06 Nov 1994 08:49:37 GMT`.
  private static func date(_ text: Substring) -> Int? {
    let parts = text.split(whereSeparator: { $0 == " " || $0 == ":" || $0 == "," })
    let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
    guard parts.count == 8, parts[7] == "GMT", let day = Int(parts[1]), 1...31 ~= day,
      let month = months.firstIndex(of: String(parts[2])), let year = Int(parts[3]), 1970...9999 ~= year,
      let hour = Int(parts[4]), 0...23 ~= hour, let minute = Int(parts[5]), 0...59 ~= minute,
      let second = Int(parts[6]), 0...60 ~= second
    else { return nil }
    return days(year, month + 1, day) * 86400 + hour * 3600 + minute * 60 + second
  }

  /// Days since 1970-01-01 in the Gregorian calendar, counted in years that begin in March so that the leap day is last.
  private static func days(_ year: Int, _ month: Int, _ day: Int) -> Int {
    let marchYear = month > 2 ? year : year - 1
    let marchMonth = (month + 9) % 12
    let leapDays = marchYear / 4 - marchYear / 100 + marchYear / 400
    return marchYear * 365 + leapDays + (153 * marchMonth + 2) / 5 + day - 1 - 719_468
  }
}

extension String {
  fileprivate var trimmed: Substring {
    var text = Substring(self)
    while text.first?.isWhitespace == true { text = text.dropFirst() }
    while text.last?.isWhitespace == true { text = text.dropLast() }
    return text
  }
}

/// Percent-encoding of one path part or query value (RFC 3986 §2.3: everything but unreserved characters).
enum PercentEncoding {
  static func encode(_ text: String) -> String {
    var encoded = ""
    let hex = Array("0123456789ABCDEF")
    for byte in text.utf8 {
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
        UInt8(ascii: "~"):
        encoded.unicodeScalars.append(UnicodeScalar(byte))
      default: encoded += "%\(hex[Int(byte >> 4)])\(hex[Int(byte & 15)])"
      }
    }
    return encoded
  }
}
