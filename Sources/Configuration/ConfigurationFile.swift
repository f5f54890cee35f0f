import Glibc
import YAML

/// A configuration file that can't be used, in words that say what to do.
public enum ConfigurationError: Error, Sendable, Hashable, CustomStringConvertible {
  /// The file could not be read: its path and `errno`.
  case unreadable(path: String, errno: Int32)
  /// The file was read and is wrong.
  case invalid(YAMLErrors)
  /// The file is right, but a command needs a part that it doesn't have.
  case missing(key: String, neededBy: String, hint: String)

  /// One sentence, or one line for each thing that is wrong.
  public var description: String {
    switch self {
    case .unreadable(let path, let code):
      "\(path) can't be read: \(String(cString: strerror(code))); name another file with --config"
    case .invalid(let errors): errors.description
    case .missing(let key, let neededBy, let hint):
      "'\(key)' is missing in the configuration, and \(neededBy) needs it; \(hint)"
    }
  }
}

extension Configuration {
  /// Reads a configuration file.
  /// - Parameters:
  ///   - path: also how errors name the file.
  ///   - environment: the source of `${NAME}` and of the bucket's credentials.
  ///   - parts: the top-level keys that are looked at; nil: all.
  ///   - secrets: see `parse`.
  public static func load(
    path: String, environment: [String: String], parts: Set<String>? = nil, secrets: Bool = true
  ) throws(ConfigurationError) -> Configuration {
    let bytes: [UInt8]
    do {
      bytes = try readFile(path)
    } catch {
      throw .unreadable(path: path, errno: error.code)
    }
    do {
      var configuration = try parse(bytes, file: path, environment: environment, parts: parts, secrets: secrets)
      let parts = path.split(separator: "/", omittingEmptySubsequences: false).dropLast()
      configuration.mcp.directory = parts.isEmpty ? "." : parts.joined(separator: "/")
      return configuration
    } catch {
      throw .invalid(error)
    }
  }

  /// The Hub, or an error that tells `command` needs one.
  public func requireHub(for command: String) throws(ConfigurationError) -> Hub {
    guard let hub else {
      throw .missing(key: "hub", neededBy: command, hint: "give hub.url and hub.api_key")
    }
    return hub
  }

  /// Where definitions are, or an error that tells `command` needs to know.
  public func requireDefinitions(for command: String) throws(ConfigurationError) -> Definitions {
    guard let definitions else {
      throw .missing(
        key: "r2", neededBy: command, hint: "give r2.bucket and r2.endpoint, or definitions.directory")
    }
    return definitions
  }

  /// The Redis URL, or an error that tells `command` needs one.
  public func requireRedis(for command: String) throws(ConfigurationError) -> String {
    guard let redisURL else {
      throw .missing(key: "redis", neededBy: command, hint: "give redis.url, such as redis://127.0.0.1:6379")
    }
    return redisURL
  }
}

/// What `open` or `read` said.
package struct FileFailure: Error {
  package let code: Int32
}

/// The whole file, at most `limit` bytes and one more: who parses it says that it is too large.
package func readFile(_ path: String, limit: Int = 1 << 20) throws(FileFailure) -> [UInt8] {
  let descriptor = open(path, O_RDONLY | O_CLOEXEC)
  guard descriptor >= 0 else { throw FileFailure(code: errno) }
  defer { close(descriptor) }
  return try readAll(descriptor, limit: limit)
}

/// All that can be read from a descriptor, at most `limit` bytes and one more.
package func readAll(_ descriptor: Int32, limit: Int) throws(FileFailure) -> [UInt8] {
  var bytes: [UInt8] = []
  var buffer = [UInt8](repeating: 0, count: 65536)
  while bytes.count <= limit {
    let count = read(descriptor, &buffer, min(buffer.count, limit + 1 - bytes.count))
    if count < 0, errno == EINTR { continue }
    guard count >= 0 else { throw FileFailure(code: errno) }
    if count == 0 { break }
    bytes.append(contentsOf: buffer[..<count])
  }
  return bytes
}
