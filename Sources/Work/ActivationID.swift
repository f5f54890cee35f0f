/// Makes the ids of activations.
public enum ActivationID {
  /// A random UUID (version 4, RFC 9562 section 5.4) in lower case.
  public static func random(using generator: inout some RandomNumberGenerator) -> String {
    var digits = hex(generator.next()) + hex(generator.next())
    digits[12] = UInt8(ascii: "4")
    digits[16] = Array("89ab".utf8)[Int(generator.next() & 3)]
    var text = ""
    for (index, digit) in digits.enumerated() {
      if [8, 12, 16, 20].contains(index) { text += "-" }
      text.unicodeScalars.append(Unicode.Scalar(digit))
    }
    return text
  }
  /// A random UUID of the system's generator.
  @Sendable public static func random() -> String {
    var generator = SystemRandomNumberGenerator()
    return random(using: &generator)
  }

  private static func hex(_ word: UInt64) -> [UInt8] {
    let digits = Array(String(word, radix: 16).utf8)
    return [UInt8](repeating: UInt8(ascii: "0"), count: 16 - digits.count) + digits
  }
}
