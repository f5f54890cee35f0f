/// `service:permission[:resource]`; `*` is allowed as the last part.
public struct Grant: Sendable, Hashable, CustomStringConvertible {
  /// Whose door it opens: `hub`, `github`.
  public var service: String
  /// Which door: `read`, `write`; `*` for all of the service.
  public var permission: String
  /// Behind the door, what: one repository, one database; `*` for all, as nil.
  public var resource: String?
  /// A grant of its parts.
  public init(service: String, permission: String, resource: String? = nil) {
    self.service = service
    self.permission = permission
    self.resource = resource
  }

  /// Reads `service:permission[:resource]`; nil where it isn't that.
  public init?(parsing text: String) {
    let parts = text.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
    guard (2...3).contains(parts.count), AgentDefinition.isName(parts[0]) else { return nil }
    if parts.count == 2 {
      guard parts[1] == "*" || AgentDefinition.isName(parts[1]) else { return nil }
    } else {
      guard AgentDefinition.isName(parts[1]), parts[2] == "*" || Self.isResource(parts[2]) else { return nil }
    }
    self.init(service: parts[0], permission: parts[1], resource: parts.count == 3 ? parts[2] : nil)
  }

  /// As it is written in a definition.
  public var description: String { "\(service):\(permission)" + (resource.map { ":\($0)" } ?? "") }

  /// Whether holding this grant permits what `wanted` asks for. Without a resource, or with `*`, it is for all of them.
  public func covers(_ wanted: Grant) -> Bool {
    guard service == wanted.service else { return false }
    if permission == "*" { return true }
    guard permission == wanted.permission else { return false }
    guard let resource, resource != "*" else { return true }
    return resource == wanted.resource
  }

  /// Names of repositories, tables, paths: visible ASCII save for blanks, `:` and `*`.
  private static func isResource(_ text: String) -> Bool {
    !text.isEmpty && text.utf8.allSatisfy { (0x21...0x7E).contains($0) && $0 != UInt8(ascii: "*") }
  }
}

extension Sequence<Grant> {
  /// Whether one of these grants permits what `wanted` asks for.
  public func cover(_ wanted: Grant) -> Bool { contains { $0.covers(wanted) } }
}
