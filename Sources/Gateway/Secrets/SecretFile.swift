import Agents

/// The text of `<server>.env`: lines of `NAME=value`. Pure.
enum SecretFile {
  /// Reads it. Empty lines and those that begin with `#` say nothing; `export` before a name and one pair of quotes around a
  /// value are taken off; nothing else is special, so that no value needs escaping.
  /// - Throws: what is wrong with the first wrong line; values are never part of an error.
  static func parse(_ text: String, file: String) throws(SecretError) -> [String: String] {
    var secrets: [String: String] = [:]
    // By bytes: a carriage return and a line feed are one Character.
    for (index, bytes) in text.utf8.split(separator: 10, omittingEmptySubsequences: false).enumerated() {
      var line = Substring(bytes.last == 13 ? bytes.dropLast() : bytes)
      line = line.drop { $0 == " " || $0 == "\t" }
      if line.isEmpty || line.hasPrefix("#") { continue }
      if line.hasPrefix("export ") { line = line.dropFirst(7).drop { $0 == " " } }
      guard let equals = line.firstIndex(of: "=") else {
        throw SecretError("\(file):\(index + 1): the line is not NAME=value")
      }
      let name = String(line[..<equals])
      guard SecretText.isName(name) else {
        throw SecretError("\(file):\(index + 1): the name before '=' has other characters than letters, digits and '_'")
      }
      var value = line[line.index(after: equals)...]
      for quote in ["\"", "'"] where value.count >= 2 && value.hasPrefix(quote) && value.hasSuffix(quote) {
        value = value.dropFirst().dropLast()
        break
      }
      guard !value.utf8.contains(0) else { throw SecretError("\(file):\(index + 1): the value holds a NUL character") }
      guard secrets.updateValue(String(value), forKey: name) == nil else {
        throw SecretError("\(file):\(index + 1): \(name) is there twice")
      }
    }
    return secrets
  }
}

/// A file of secrets that can't be used, without anything of what it holds.
public struct SecretError: Error, Sendable, Hashable, CustomStringConvertible {
  /// One sentence that names the file and says what to do.
  public let description: String
  init(_ description: String) { self.description = description }
}
