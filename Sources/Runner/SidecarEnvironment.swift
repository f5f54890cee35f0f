import Agents
import Gateway

/// What a server's program finds in its environment, and what of it is secret. Pure but for reading the file.
enum SidecarEnvironment {
  /// Variables or headers with their secrets filled in.
  struct Filled: Sendable, Hashable {
    /// Those without a secret.
    var plain: [String: String] = [:]
    /// Those with one.
    var secret: [String: String] = [:]
    /// Both.
    var all: [String: String] { plain.merging(secret) { $1 } }
  }

  /// The file's secrets, as far as the entry refers to them. One that comes with a definition has none.
  static func secrets(_ entry: ServerEntry, _ store: SecretStore) throws(DownstreamError) -> [String: String] {
    guard entry.isOperators, !entry.secrets.isEmpty else { return [:] }
    do throws(SecretError) {
      let known = try store.secrets(of: entry.name)
      return known.filter { entry.secrets.contains($0.key) }
    } catch { throw .notStarted(error.description) }
  }

  /// Fills in.
  static func fill(_ texts: [String: SecretText], _ secrets: [String: String]) throws(DownstreamError) -> Filled {
    var filled = Filled()
    for (name, text) in texts {
      guard let value = text.filled(secrets) else {
        let missing = text.secrets.filter { secrets[$0] == nil }.joined(separator: ", ")
        throw .notStarted("'\(name)' refers to \(missing), which isn't in the server's file of secrets")
      }
      if text.secrets.isEmpty { filled.plain[name] = value } else { filled.secret[name] = value }
    }
    return filled
  }

  /// Where programs look for a proxy: in capitals, in small letters (curl takes `http_proxy` in small letters alone).
  static func proxy(_ url: String) -> [String: String] {
    var variables: [String: String] = [:]
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
      variables[name] = url
      variables[name.lowercased()] = url
    }
    variables["NO_PROXY"] = ""
    variables["no_proxy"] = ""
    return variables
  }
}
