/// A value together with the place that it was read from, for whoever has to tell later where a rule stands.
public struct YAMLPlaced<Value> {
  /// What was read.
  public var value: Value
  /// Where it begins; line 0 stands for "nowhere", after an error.
  public var position: YAMLPosition
  /// Puts both together.
  public init(_ value: Value, at position: YAMLPosition) {
    self.value = value
    self.position = position
  }
}

extension YAMLPlaced: Sendable where Value: Sendable {}

extension YAMLKind {
  /// A value of `kind` with its place.
  public static func placed<Inner>(
    _ kind: YAMLKind<Inner>
  ) -> YAMLKind<YAMLPlaced<Inner>> where Value == YAMLPlaced<Inner> {
    YAMLKind<YAMLPlaced<Inner>>(placeholder: YAMLPlaced(kind.placeholder, at: YAMLPosition(line: 0, column: 0))) {
      node throws(YAMLMismatch) in YAMLPlaced(try kind.read(node), at: node.position)
    }
  }
  /// A value of `kind`, or the word `none`, which is nil.
  public static func orNone<Inner>(_ kind: YAMLKind<Inner>) -> YAMLKind<Inner?> where Value == Inner? {
    YAMLKind<Inner?>(placeholder: nil) { node throws(YAMLMismatch) in
      node.text == "none" ? nil : try kind.read(node)
    }
  }
}
