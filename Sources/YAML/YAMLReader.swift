extension YAML {
  /// Reads a file whose top is a mapping, and reports everything that is wrong with it at once.
  ///
  /// `body` asks the reader for each key it knows; keys it never asked for are errors, except those that begin with `x-`.
  /// After an error the reader hands out placeholders, so `body` needs no error handling; what it returns is thrown away then.
  /// - Parameters:
  ///   - file: how errors name the file.
  ///   - environment: the source of `${NAME}` in scalars; nil leaves them as they are.
  ///   - leavesUnset: a `${NAME}` that isn't set stays as it is and is no error.
  ///   - only: the top-level keys that are looked at, where the rest is somebody else's; nil: all.
  public static func read<Value>(
    _ bytes: some Sequence<UInt8>, file: String, environment: [String: String]? = nil, limits: Limits = Limits(),
    leavesUnset: Bool = false, only: Set<String>? = nil,
    _ body: (MappingReader) -> Value
  ) throws(YAMLErrors) -> Value {
    var root: YAMLNode
    do {
      root = try parse(bytes, file: file, limits: limits)
    } catch {
      throw YAMLErrors([error])
    }
    let problems = YAMLProblems(file: file)
    if let only, let entries = root.entries { root.value = .mapping(entries.filter { only.contains($0.key) }) }
    if let environment { root = substitute(environment, in: root, leavesUnset, problems: problems) }
    if root.isNull { root.value = .mapping([]) }
    guard let entries = root.entries else {
      problems.report("the file must be a mapping of keys to values, not \(root.kindName)", at: root.position)
      throw YAMLErrors(problems.errors)
    }
    let reader = MappingReader(
      name: nil, entries: entries, position: YAMLPosition(line: 1, column: 1), problems: problems)
    let value = body(reader)
    reader.finish()
    guard problems.errors.isEmpty else { throw YAMLErrors(problems.errors) }
    return value
  }
}

/// Collects what is wrong in one file while the reading goes on.
final class YAMLProblems {
  let file: String
  private(set) var errors: [YAMLError] = []
  init(file: String) { self.file = file }
  /// Scalars whose variables could not be filled in: one error for each is enough.
  var spoiled: Set<YAMLPosition> = []
  func report(_ sentence: String, at position: YAMLPosition) {
    guard !spoiled.contains(position) else { return }
    errors.append(YAMLError(file: file, position: position, sentence: sentence))
  }
}

/// Reads one mapping key by key; see `YAML.read`.
public final class MappingReader {
  /// The key that holds this mapping; nil at the top of the file.
  public let name: String?
  /// Where the mapping begins.
  public let position: YAMLPosition
  private let entries: [YAMLNode.Entry]
  private let problems: YAMLProblems
  /// In the order in which they were asked for, which is how errors list them.
  private var known: [String] = []

  init(name: String?, entries: [YAMLNode.Entry], position: YAMLPosition, problems: YAMLProblems) {
    self.name = name
    self.entries = entries
    self.position = position
    self.problems = problems
  }

  /// Keys in the file's order.
  public var keys: [String] { entries.map(\.key) }

  /// The value under `key`, which becomes a known key; nil where it is absent or null.
  public func node(_ key: String) -> YAMLNode? {
    if !known.contains(key) { known.append(key) }
    return entries.first { $0.key == key }.flatMap { $0.value.isNull ? nil : $0.value }
  }

  /// Where the value of `key` is, or the key itself where the value is null, or the mapping where there is no such key.
  public func position(of key: String) -> YAMLPosition {
    guard let entry = entries.first(where: { $0.key == key }) else { return position }
    return entry.value.isNull ? entry.position : entry.value.position
  }

  /// The value under `key`; an error where it is absent, null or not of the kind.
  public func required<Value>(_ key: String, _ kind: YAMLKind<Value>) -> Value {
    guard let node = node(key) else {
      reportMissing(key)
      return kind.placeholder
    }
    return read(node, key, kind) ?? kind.placeholder
  }

  /// The value under `key`; nil where it is absent or null, an error where it is not of the kind.
  public func optional<Value>(_ key: String, _ kind: YAMLKind<Value>) -> Value? {
    node(key).flatMap { read($0, key, kind) }
  }

  /// The value under `key`; `fallback` where it is absent or null, an error where it is not of the kind.
  public func value<Value>(_ key: String, _ kind: YAMLKind<Value>, default fallback: Value) -> Value {
    optional(key, kind) ?? fallback
  }

  /// The mapping under `key`, read by `body`; nil where it is absent or null.
  @discardableResult
  public func mapping<Value>(_ key: String, _ body: (MappingReader) -> Value) -> Value? {
    node(key).flatMap { nested($0, named: key, body) }
  }

  /// The mapping under `key`, read by `body`, as `mapping` does; an error where it is absent. One that was left empty
  /// is read as a mapping without keys, so that the error names what is missing in it.
  public func requiredMapping<Value>(_ key: String, _ body: (MappingReader) -> Value) -> Value? {
    if let node = node(key) { return nested(node, named: key, body) }
    guard let entry = entries.first(where: { $0.key == key }) else {
      reportMissing(key)
      return nil
    }
    return nested(YAMLNode(.mapping([]), at: entry.position), named: key, body)
  }

  /// The list under `key`, each element a mapping read by `body`; empty where it is absent or null.
  public func mappings<Value>(_ key: String, _ body: (MappingReader) -> Value) -> [Value] {
    elements(key) { node in nested(node, named: key, body) }
  }

  /// The list under `key`, each element read by `body`, which reports for itself; empty where it is absent or null.
  public func elements<Value>(_ key: String, _ body: (YAMLNode) -> Value?) -> [Value] {
    guard let node = node(key) else { return [] }
    guard let elements = node.elements else {
      problems.report("'\(key)' must be a list, not \(node.text.map { "'\($0)'" } ?? node.kindName)", at: node.position)
      return []
    }
    return elements.compactMap(body)
  }

  /// The node as a mapping read by `body`, for values that may be of several shapes.
  public func nested<Value>(_ node: YAMLNode, named key: String, _ body: (MappingReader) -> Value) -> Value? {
    guard let entries = node.entries else {
      problems.report(
        "'\(key)' must be a mapping, not \(node.text.map { "'\($0)'" } ?? node.kindName)", at: node.position)
      return nil
    }
    let reader = MappingReader(name: key, entries: entries, position: node.position, problems: problems)
    let value = body(reader)
    reader.finish()
    return value
  }

  /// Reports that the value of `key` is wrong in a way that no kind can know.
  public func report(_ key: String, _ sentence: String) {
    problems.report(sentence, at: position(of: key))
  }

  /// Reports something wrong at a place of the file.
  public func report(at position: YAMLPosition, _ sentence: String) {
    problems.report(sentence, at: position)
  }

  /// Reports keys that nobody asked for. Called by whoever made the reader, once `body` has returned.
  func finish() {
    for entry in entries where !known.contains(entry.key) && !entry.key.hasPrefix("x-") {
      let hint: String
      if let near = Spelling.nearest(to: entry.key, in: known) {
        hint = "did you mean '\(near)'?"
      } else if known.isEmpty {
        hint = "no key is known here"
      } else {
        hint = "known here: \(known.sorted().joined(separator: ", "))"
      }
      problems.report("unknown key '\(entry.key)'; \(hint)", at: entry.position)
    }
  }

  private func read<Value>(_ node: YAMLNode, _ key: String, _ kind: YAMLKind<Value>) -> Value? {
    do throws(YAMLMismatch) {
      return try kind.read(node)
    } catch {
      // A list's element goes on with its index: 'skills[2]' must be …
      let subject =
        error.predicate.hasPrefix("[")
        ? "'\(key)\(error.predicate.prefix { $0 != "]" })]'\(error.predicate.drop { $0 != "]" }.dropFirst())"
        : "'\(key)' \(error.predicate)"
      problems.report(subject, at: error.position ?? node.position)
      return nil
    }
  }

  private func reportMissing(_ key: String) {
    problems.report("'\(key)' is missing" + (name.map { " in '\($0)'" } ?? ""), at: position(of: key))
  }
}
