/// The token of an `Authorization: Bearer …` value; nil for another scheme. RFC 9110 §11.1: the scheme's case doesn't matter.
public func bearerToken(_ value: String) -> Substring? {
  let parts = value.split(separator: " ", maxSplits: 1)
  return parts.count == 2 && parts[0].lowercased() == "bearer" ? parts[1] : nil
}

/// Compares in a time that depends on the lengths alone, so that a guesser learns nothing from how long a refusal takes.
public func equalInConstantTime(_ left: some StringProtocol, _ right: some StringProtocol) -> Bool {
  let left = Array(left.utf8)
  let right = Array(right.utf8)
  guard left.count == right.count else { return false }
  var difference: UInt8 = 0
  for index in left.indices { difference |= left[index] ^ right[index] }
  return difference == 0
}
