/// A place in a YAML file. Both count from 1; columns count Unicode scalars.
public struct YAMLPosition: Sendable, Hashable, Comparable {
  /// The line, from 1.
  public var line: Int
  /// The column, from 1.
  public var column: Int
  /// A place by its line and column, both from 1.
  public init(line: Int, column: Int) {
    self.line = line
    self.column = column
  }
  /// Reading order.
  public static func < (left: YAMLPosition, right: YAMLPosition) -> Bool {
    (left.line, left.column) < (right.line, right.column)
  }
}

/// One value of a YAML file with the place where it begins.
public struct YAMLNode: Sendable, Hashable {
  /// What a node holds. Scalars stay text until a reader asks for a type.
  public enum Value: Sendable, Hashable {
    /// Text; `plain` when it was written without quotes and without a block mark, so that `null` can mean nothing.
    case scalar(text: String, plain: Bool)
    /// A list.
    case sequence([YAMLNode])
    /// Keys with values, in the file's order, no key twice.
    case mapping([Entry])
  }
  /// One key of a mapping and its value.
  public struct Entry: Sendable, Hashable {
    /// The key's text.
    public var key: String
    /// Where the key begins.
    public var position: YAMLPosition
    /// What stands behind the colon.
    public var value: YAMLNode
    /// A key with its value.
    public init(key: String, position: YAMLPosition, value: YAMLNode) {
      self.key = key
      self.position = position
      self.value = value
    }
  }
  /// What it holds.
  public var value: Value
  /// Where it begins.
  public var position: YAMLPosition
  /// A value at a place.
  public init(_ value: Value, at position: YAMLPosition) {
    self.value = value
    self.position = position
  }

  /// The text of a scalar; nil for lists, mappings and nothing.
  public var text: String? {
    if case .scalar(let text, _) = value, !isNull { text } else { nil }
  }
  /// Nothing was written: an empty value, `~` or `null` without quotes.
  public var isNull: Bool {
    if case .scalar(let text, plain: true) = value { ["", "~", "null", "Null", "NULL"].contains(text) } else { false }
  }
  /// The elements of a list; nil for anything else.
  public var elements: [YAMLNode]? {
    if case .sequence(let elements) = value { elements } else { nil }
  }
  /// The keys and values of a mapping; nil for anything else.
  public var entries: [Entry]? {
    if case .mapping(let entries) = value { entries } else { nil }
  }
  /// The value under `key` of a mapping; nil for anything else.
  public subscript(key: String) -> YAMLNode? { entries?.first { $0.key == key }?.value }

  /// What it is, in the words of error messages.
  var kindName: String {
    switch value {
    case .scalar: isNull ? "nothing" : "text"
    case .sequence: "a list"
    case .mapping: "a mapping"
    }
  }
}
