import CYAML

/// YAML files as trees with positions, and typed reading of them.
public enum YAML {
  /// What a file may cost at most. Definitions and profiles are small; a file beyond these is a mistake or an attack.
  public struct Limits: Sendable, Hashable {
    /// Size of the file.
    public var bytes = 1 << 20
    /// Nested lists and mappings.
    public var depth = 64
    /// Scalars, lists and mappings together.
    public var nodes = 100_000
    /// The defaults: 1 MiB, 64 levels, 100,000 nodes.
    public init() {}
  }

  /// Reads the one document of a file. An empty file is a null scalar.
  ///
  /// Stricter than YAML: no key twice, keys are text, no aliases (they make small files huge), no tags, one document,
  /// UTF-8 only.
  /// - Parameter file: how errors name the file.
  public static func parse(
    _ bytes: some Sequence<UInt8>, file: String, limits: Limits = Limits()
  ) throws(YAMLError) -> YAMLNode {
    var parser = try EventParser(Array(bytes), file: file, limits: limits)
    return try parser.document()
  }
}
