import Configuration
import YAML

/// What the operator decides about tools: which servers there are, and which grants hold.
public struct OperatorFiles: Sendable, Hashable {
  /// By name.
  public var servers: [String: ServerEntry] = [:]
  /// What definitions may ask for at most.
  public var permissions = Permissions()
  /// No server but the built-in one; every grant holds.
  public init() {}
  /// Files of their contents.
  public init(servers: [String: ServerEntry], permissions: Permissions = Permissions()) {
    self.servers = servers
    self.permissions = permissions
  }

  /// Reads both files where the configuration says they are. One that it doesn't name and that isn't there says nothing.
  public init(_ places: Configuration.MCP) throws(ConfigurationError) {
    let catalogue = places.servers ?? "\(places.directory)/mcp-servers.yaml"
    if let bytes = try Self.bytes(catalogue, isNamed: places.servers != nil) {
      do { servers = try ServerEntry.read(bytes, file: catalogue) } catch { throw .invalid(error) }
    }
    let policy = places.permissions ?? "\(places.directory)/permissions.yaml"
    if let bytes = try Self.bytes(policy, isNamed: places.permissions != nil) {
      do { permissions = try Permissions.read(bytes, file: policy) } catch { throw .invalid(error) }
    }
  }

  private static func bytes(_ path: String, isNamed: Bool) throws(ConfigurationError) -> [UInt8]? {
    do {
      return try readFile(path)
    } catch {
      // ENOENT
      if error.code == 2, !isNamed { return nil }
      throw .unreadable(path: path, errno: error.code)
    }
  }
}
