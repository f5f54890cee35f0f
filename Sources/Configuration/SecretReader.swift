import Glibc
import YAML

extension Configuration {
  /// A secret: from `key`, from the file `<key>_file`, or from the systemd credential `credential` (systemd.exec(5), LoadCredential=).
  /// - Parameters:
  ///   - owner: how errors call the part of the file, such as "provider 'x'".
  ///   - environment: where credentials are; nil where no file with a secret is to be opened.
  static func readSecret(
    _ key: String, of owner: String, _ reader: MappingReader, _ environment: [String: String]?
  ) -> String? {
    let value = reader.optional(key, .nonEmptyString)
    let file = reader.optional("\(key)_file", .nonEmptyString)
    let credential = reader.optional("credential", .nonEmptyString)
    guard [value, file, credential].compactMap({ $0 }).count <= 1 else {
      reader.report(key, "\(owner) has more than one of '\(key)', '\(key)_file' and 'credential'; leave one")
      return nil
    }
    if let value { return value }
    guard let environment else { return file ?? credential }
    if let credential {
      guard let directory = environment["CREDENTIALS_DIRECTORY"] else {
        reader.report(
          "credential",
          "'credential' asks for a credential of systemd, but CREDENTIALS_DIRECTORY is not set; add LoadCredential= to the "
            + "unit, or use '\(key)_file'")
        return nil
      }
      guard !credential.contains("/"), credential != ".." else {
        reader.report("credential", "'credential' must be a name without '/'")
        return nil
      }
      return readSecretFile("\(directory)/\(credential)", reader, "credential")
    }
    return file.flatMap { readSecretFile($0, reader, "\(key)_file") }
  }

  private static func readSecretFile(_ path: String, _ reader: MappingReader, _ key: String) -> String? {
    do throws(FileFailure) {
      let bytes = try readFile(path, limit: 16 << 10)
      let text = String(decoding: bytes, as: UTF8.self)
      // Files end with a line break; a key never has one.
      guard let word = text.split(whereSeparator: \.isWhitespace).first,
        text.split(whereSeparator: \.isWhitespace).count == 1
      else {
        reader.report(key, "'\(key)': \(path) must hold a key and nothing else")
        return nil
      }
      return String(word)
    } catch {
      reader.report(key, "'\(key)': \(path) can't be read: \(String(cString: strerror(error.code)))")
      return nil
    }
  }

  /// Reads `cache`.
  static func readCache(_ reader: MappingReader, _ environment: [String: String]?) -> String? {
    guard let token = readSecret("token", of: "'cache'", reader, environment) else { return nil }
    // Where files aren't opened there is a file's name instead.
    if environment != nil, token.utf8.count < 16 || !token.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) {
      reader.report(
        ["token", "token_file", "credential"].first { reader.keys.contains($0) } ?? "token",
        "the token of 'cache' must be at least 16 characters of ASCII without spaces, so that nobody guesses it; make one with "
          + "'openssl rand -hex 32'")
    }
    return token
  }
}
