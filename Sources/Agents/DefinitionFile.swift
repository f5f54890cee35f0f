/// One of the files that an agent was read from, as it was then.
public struct DefinitionFile: Sendable, Hashable {
  /// What tells whether a file has changed since.
  public enum Version: Sendable, Hashable {
    /// There was none.
    case absent
    /// An entity tag, or what stands for one.
    case tag(String)
    /// Nothing tells: it counts as changed.
    case unknown
  }
  /// Its place in the layout, such as `agents/claude-coder-1/config.yaml`.
  public var path: String
  /// As of when it was read.
  public var version: Version
  /// A file and its version.
  public init(path: String, version: Version) {
    self.path = path
    self.version = version
  }
}

/// What looking for a file gave.
package enum FileReading: Sendable, Hashable {
  case absent
  /// It is as it was; its bytes weren't read.
  case unchanged
  case read([UInt8], DefinitionFile.Version)
}
