/// What an agent may do in the end: its definition's grants as far as the operator's policy leaves them.
public struct HeldGrants: Sendable, Hashable {
  /// Allowed by definition and policy.
  public var allowed: [Grant]
  /// Taken away again, for grants that allow more than one thing.
  public var denied: [GrantPattern]

  /// Those of a definition where there is no policy.
  public init(allowed: [Grant], denied: [GrantPattern] = []) {
    self.allowed = allowed
    self.denied = denied
  }

  /// Whether they permit all of this: what is denied in part isn't.
  public func permit(_ wanted: Grant) -> Bool {
    allowed.cover(wanted) && !denied.contains { $0.intersection(wanted) != nil }
  }

  /// Whether anything of a service is permitted.
  public func permitAny(of service: String) -> Bool { allowed.contains { $0.service == service } }
}

/// Grants with wildcards in any place: `*`, `github:*`, `*:read`, `github:read:*`.
public struct GrantPattern: Sendable, Hashable, CustomStringConvertible {
  /// Nil for all.
  public let service: String?
  /// Nil for all.
  public let permission: String?
  /// Nil for all.
  public let resource: String?

  /// Reads one; nil where it isn't one.
  public init?(_ text: String) {
    let parts = text.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
    guard (1...3).contains(parts.count), parts.allSatisfy({ !$0.isEmpty }) else { return nil }
    // "github" alone could be meant as either; only the star may stand for everything behind it.
    if parts.count == 1 && parts[0] != "*" { return nil }
    guard parts.prefix(2).allSatisfy({ $0 == "*" || AgentDefinition.isName($0) }) else { return nil }
    if parts.count == 3 && parts[1] == "*" && parts[2] != "*" { return nil }
    if parts.count == 3, parts[2] != "*", Grant(parsing: "a:b:\(parts[2])") == nil { return nil }
    func part(_ index: Int) -> String? { index < parts.count && parts[index] != "*" ? parts[index] : nil }
    (service, permission, resource) = (part(0), part(1), part(2))
  }

  /// Whether all of `grant` is within.
  public func covers(_ grant: Grant) -> Bool {
    if let service, service != grant.service { return false }
    if let permission, permission != grant.permission { return false }
    if let resource, resource != grant.resource { return false }
    return true
  }

  /// What a grant and this have in common; nil for nothing.
  public func intersection(_ grant: Grant) -> Grant? {
    if let service, service != grant.service { return nil }
    var common = grant
    if let permission {
      if grant.permission == "*" {
        common.permission = permission
      } else if grant.permission != permission {
        return nil
      }
    }
    if let resource {
      if let own = grant.resource, own != "*" {
        if own != resource { return nil }
      } else {
        common.resource = resource
      }
    }
    return common
  }

  /// As it is written.
  public var description: String {
    guard service != nil || permission != nil || resource != nil else { return "*" }
    let whole = "\(service ?? "*"):\(permission ?? "*")"
    return resource.map { "\(whole):\($0)" } ?? whole
  }
}
