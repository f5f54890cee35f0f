import Linux
import Sandbox

/// A command that is to be learned, and in which surroundings it is run for that.
public struct Command: Sendable {
  /// `argv`. `{gateway}` in it stands for an address; see `gatewayWord`.
  public var arguments: [String]
  /// On top of the base profile's; `{gateway}` likewise.
  public var environment: [String: String]
  /// As whom it is recorded; nil: as who we are.
  public var identity: Identity?
  /// A file with its standard input.
  public var inputPath: String
  /// Puts one together.
  public init(
    _ arguments: [String], environment: [String: String] = [:], identity: Identity? = nil,
    inputPath: String = "/dev/null"
  ) {
    (self.arguments, self.environment, self.identity, self.inputPath) = (arguments, environment, identity, inputPath)
  }

  /// In arguments and variables: this host's loopback address while the command is recorded, the gateway's in a sandbox.
  public static let gatewayWord = "{gateway}"

  /// A text with the address filled in.
  static func filled(_ text: String, _ address: String) -> String {
    var result = ""
    var rest = text[...]
    // The standard library has no replacing; Foundation is not wanted for this.
    while let start = rest.firstRange(of: gatewayWord) {
      result += rest[..<start.lowerBound] + address
      rest = rest[start.upperBound...]
    }
    return result + rest
  }

  /// What is told to the child that becomes the command on the host.
  func order(base: Profile, surroundings: Surroundings) -> ChildOrder {
    var environment = base.environment
    environment["HOME"] = surroundings.workspace
    environment["TMPDIR"] = surroundings.temporary
    environment.merge(self.environment.mapValues { Self.filled($0, "127.0.0.1") }) { _, own in own }
    // Root stays as it is: whoever asks for it means all of it.
    let user = identity?.uid == 0 ? nil : identity
    return ChildOrder(
      arguments: arguments.map { Self.filled($0, "127.0.0.1") }, environment: environment,
      directory: surroundings.workspace, uid: user?.uid, gid: user?.gid)
  }

  /// And in a sandbox.
  func insideOrder(base: Profile) -> ChildOrder {
    ChildOrder(
      arguments: arguments.map { Self.filled($0, gatewayAddress) },
      environment: base.environment.merging(environment.mapValues { Self.filled($0, gatewayAddress) }) { _, own in own }
    )
  }
}
