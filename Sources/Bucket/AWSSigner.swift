import Crypto

/// AWS Signature Version 4 for requests whose body is known (AWS General Reference, "Signing AWS API requests").
///
/// Done here and not by libcurl 7.88, which signs queries and reserved characters wrongly.
struct AWSSigner: Sendable {
  var accessKeyID: String
  var secretAccessKey: String
  var region: String
  var service = "s3"

  /// The headers to add: `authorization`, `x-amz-date` and, for S3, `x-amz-content-sha256`.
  /// - Parameters:
  ///   - path: as the URL has it, percent-encoded.
  ///   - query: decoded pairs.
  ///   - headers: further ones to sign; `host` must be among them.
  ///   - time: seconds since 1970.
  func sign(
    method: String, path: String, query: [(name: String, value: String)], headers: [(name: String, value: String)],
    body: [UInt8], time: Int
  ) -> [(name: String, value: String)] {
    let date = AWSDate(time)
    let bodyHash = hex(SHA256.hash(data: body))
    var added = [(name: "x-amz-date", value: date.timestamp)]
    if service == "s3" { added.append(("x-amz-content-sha256", bodyHash)) }
    let signed = (headers + added).map { ($0.name.lowercased(), collapse($0.value)) }.sorted { $0.0 < $1.0 }
    let names = signed.map(\.0).joined(separator: ";")
    let request = [
      method, path.isEmpty ? "/" : path, Self.encode(query), signed.map { "\($0.0):\($0.1)\n" }.joined(), names,
      bodyHash,
    ].joined(separator: "\n")
    let scope = "\(date.day)/\(region)/\(service)/aws4_request"
    let text = "AWS4-HMAC-SHA256\n\(date.timestamp)\n\(scope)\n\(hex(SHA256.hash(data: Array(request.utf8))))"
    let signature = hex(HMAC<SHA256>.authenticationCode(for: Array(text.utf8), using: key(date.day)))
    let authorization =
      "AWS4-HMAC-SHA256 Credential=\(accessKeyID)/\(scope), SignedHeaders=\(names), Signature=\(signature)"
    return added + [("authorization", authorization)]
  }

  /// A query in the canonical form, which is also what must be sent: encoded, then sorted.
  static func encode(_ query: [(name: String, value: String)]) -> String {
    query.map { (percentEncoded($0.name), percentEncoded($0.value)) }.sorted { $0 < $1 }
      .map { "\($0.0)=\($0.1)" }.joined(separator: "&")
  }

  /// Everything but RFC 3986's unreserved characters as `%XX`; `/` too, unless it is to be kept.
  static func percentEncoded(_ text: String, keepingSlashes: Bool = false) -> String {
    var result = ""
    for byte in text.utf8 {
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
        UInt8(ascii: "~"):
        result.unicodeScalars.append(Unicode.Scalar(byte))
      case UInt8(ascii: "/") where keepingSlashes: result += "/"
      default: result += "%" + (byte < 16 ? "0" : "") + String(byte, radix: 16, uppercase: true)
      }
    }
    return result
  }

  private func key(_ day: String) -> SymmetricKey {
    var key = SymmetricKey(data: Array("AWS4\(secretAccessKey)".utf8))
    for part in [day, region, service, "aws4_request"] {
      key = SymmetricKey(data: HMAC<SHA256>.authenticationCode(for: Array(part.utf8), using: key))
    }
    return key
  }

  /// Blanks at the ends go, runs of blanks become one.
  private func collapse(_ value: String) -> String {
    value.split { $0 == " " || $0 == "\t" }.joined(separator: " ")
  }

  private func hex(_ bytes: some Sequence<UInt8>) -> String {
    bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
  }
}

/// A time in UTC as SigV4 writes it.
struct AWSDate {
  /// `20150830T123600Z`
  let timestamp: String
  /// `20150830`
  let day: String

  /// - Parameter time: seconds since 1970, not negative.
  init(_ time: Int) {
    // Days to a civil date: years begin in March, so that the leap day is the last one (H. Hinnant, "chrono-Compatible
    // Low-Level Date Algorithms", civil_from_days).
    let days = time / 86400 + 719_468
    let era = days / 146_097
    let dayOfEra = days % 146_097
    let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let shifted = (5 * dayOfYear + 2) / 153
    let month = shifted < 10 ? shifted + 3 : shifted - 9
    let year = era * 400 + yearOfEra + (month <= 2 ? 1 : 0)
    func two(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
    day = "\(year)\(two(month))\(two(dayOfYear - (153 * shifted + 2) / 5 + 1))"
    let seconds = time % 86400
    timestamp = "\(day)T\(two(seconds / 3600))\(two(seconds / 60 % 60))\(two(seconds % 60))Z"
  }
}
