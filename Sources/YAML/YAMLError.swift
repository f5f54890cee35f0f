/// One thing wrong in a YAML file: `file:line:column: sentence`.
public struct YAMLError: Error, Sendable, Hashable, CustomStringConvertible {
  /// The file as it was named to the parser.
  public let file: String
  /// Where it is wrong.
  public let position: YAMLPosition
  /// What is wrong and what to do, without the place.
  public let sentence: String
  /// Makes an error that reads `file:line:column: sentence`.
  public init(file: String, position: YAMLPosition, sentence: String) {
    self.file = file
    self.position = position
    self.sentence = sentence
  }
  /// `file:line:column: sentence`
  public var description: String { "\(file):\(position.line):\(position.column): \(sentence)" }
}

/// Everything wrong in one YAML file, in reading order; one line each.
public struct YAMLErrors: Error, Sendable, Hashable, CustomStringConvertible {
  /// At least one.
  public let errors: [YAMLError]
  /// Puts the errors into reading order.
  public init(_ errors: [YAMLError]) {
    // Sorting by place alone would leave two errors at one place in an arbitrary order.
    self.errors = errors.enumerated().sorted { ($0.element.position, $0.offset) < ($1.element.position, $1.offset) }
      .map(\.element)
  }
  /// One line for each error.
  public var description: String { errors.map(\.description).joined(separator: "\n") }
}
