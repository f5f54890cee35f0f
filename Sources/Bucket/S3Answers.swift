// The little XML that S3 answers with. Only texts of known elements are wanted, so no parser of all of XML is needed:
// nothing here acts on structure, and what it yields is checked again by its users.

/// One page of ListObjectsV2 with a delimiter.
struct ListPage {
  let prefixes: [String]
  /// Where the next page begins; nil on the last.
  let nextToken: String?

  init?(_ body: [UInt8]) {
    guard let text = String(validating: body, as: UTF8.self), text.contains("<ListBucketResult") else { return nil }
    prefixes = xmlTexts("CommonPrefixes", in: text[...]).flatMap { xmlTexts("Prefix", in: $0) }
      .map(xmlUnescaped)
    let truncated = xmlTexts("IsTruncated", in: text[...]).first == "true"
    nextToken = truncated ? xmlTexts("NextContinuationToken", in: text[...]).first.map(xmlUnescaped) : nil
  }
}

/// S3's account of a failure.
struct S3Failure {
  /// Such as `NoSuchKey`, `SignatureDoesNotMatch`; nil where the body has none that looks like one.
  let code: String?

  init(_ body: [UInt8]) {
    let text = String(decoding: body.prefix(8192), as: UTF8.self)
    // Goes into messages: only what looks like a code.
    code = xmlTexts("Code", in: text[...]).first.map(String.init).flatMap { code in
      (1...64).contains(code.count) && code.allSatisfy { $0.isASCII && $0.isLetter } ? code : nil
    }
  }
}

/// The contents of each `<name>…</name>`, in order; elements of that name don't nest in S3's answers.
private func xmlTexts(_ name: String, in text: Substring) -> [Substring] {
  var found: [Substring] = []
  var rest = text
  while let start = rest.firstRange(of: "<\(name)>") {
    rest = rest[start.upperBound...]
    guard let end = rest.firstRange(of: "</\(name)>") else { break }
    found.append(rest[..<end.lowerBound])
    rest = rest[end.upperBound...]
  }
  return found
}

private func xmlUnescaped(_ text: Substring) -> String {
  // "&amp;" last, or "&amp;lt;" would be unescaped twice.
  [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&#13;", "\r"), ("&amp;", "&")]
    .reduce(String(text)) { $0.replacing($1.0, with: $1.1) }
}
