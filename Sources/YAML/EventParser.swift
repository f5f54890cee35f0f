import CYAML

/// Builds a tree from libyaml's events.
struct EventParser: ~Copyable {
  // libyaml's parser points into itself and borrows its input: both live on the heap, at fixed addresses, as long as this value.
  private let parser: UnsafeMutablePointer<yaml_parser_t>
  private let input: UnsafeMutableBufferPointer<UInt8>
  private let file: String
  private let limits: YAML.Limits
  private var nodes = 0

  init(_ bytes: [UInt8], file: String, limits: YAML.Limits) throws(YAMLError) {
    let start = YAMLPosition(line: 1, column: 1)
    guard bytes.count <= limits.bytes else {
      throw YAMLError(
        file: file, position: start, sentence: "the file has \(bytes.count) bytes; at most \(limits.bytes) are read")
    }
    let parser = UnsafeMutablePointer<yaml_parser_t>.allocate(capacity: 1)
    // yaml_parser_initialize fails only when it gets no memory.
    guard yaml_parser_initialize(parser) == 1 else {
      parser.deallocate()
      throw YAMLError(file: file, position: start, sentence: "no memory for the YAML parser")
    }
    let input = UnsafeMutableBufferPointer<UInt8>.allocate(capacity: max(bytes.count, 1))
    input.initialize(repeating: 0)
    _ = input.update(from: bytes)
    // Without this, libyaml guesses UTF-16 from a byte order mark.
    yaml_parser_set_encoding(parser, YAML_UTF8_ENCODING)
    yaml_parser_set_input_string(parser, input.baseAddress, bytes.count)
    self.parser = parser
    self.input = input
    self.file = file
    self.limits = limits
  }

  deinit {
    yaml_parser_delete(parser)
    parser.deallocate()
    input.deallocate()
  }

  /// The only document of the stream.
  mutating func document() throws(YAMLError) -> YAMLNode {
    var root: YAMLNode?
    while true {
      let event = try next()
      switch event.kind {
      case .streamEnd:
        return root ?? YAMLNode(.scalar(text: "", plain: true), at: YAMLPosition(line: 1, column: 1))
      case .documentStart:
        guard root == nil else {
          throw error("a second document begins here; one file holds one document", at: event.position)
        }
        root = try node(from: try next(), depth: 0)
      default: continue
      }
    }
  }

  private mutating func node(from event: Event, depth: Int) throws(YAMLError) -> YAMLNode {
    nodes += 1
    guard nodes <= limits.nodes else {
      throw error("the file holds more than \(limits.nodes) values", at: event.position)
    }
    guard depth <= limits.depth else {
      throw error("nested deeper than \(limits.depth) levels", at: event.position)
    }
    switch event.kind {
    case .scalar(let text, let plain): return YAMLNode(.scalar(text: text, plain: plain), at: event.position)
    case .sequenceStart:
      var elements: [YAMLNode] = []
      while true {
        let element = try next()
        if element.kind == .sequenceEnd { return YAMLNode(.sequence(elements), at: event.position) }
        elements.append(try node(from: element, depth: depth + 1))
      }
    case .mappingStart: return try mapping(at: event.position, depth: depth)
    case .alias(let name):
      throw error("aliases are not read; write the value of '*\(name)' out", at: event.position)
    case .tagged(let tag):
      throw error("tags are not read; leave '\(tag)' out", at: event.position)
    default: throw error("a value is missing here", at: event.position)
    }
  }

  private mutating func mapping(at position: YAMLPosition, depth: Int) throws(YAMLError) -> YAMLNode {
    var entries: [YAMLNode.Entry] = []
    var lines: [String: Int] = [:]
    while true {
      let event = try next()
      if event.kind == .mappingEnd { return YAMLNode(.mapping(entries), at: position) }
      guard case .scalar(let key, _) = try node(from: event, depth: depth + 1).value else {
        throw error("a key must be text, not a list or a mapping", at: event.position)
      }
      if let first = lines.updateValue(event.position.line, forKey: key) {
        throw error("key '\(key)' is given twice; the first is on line \(first)", at: event.position)
      }
      let value = try node(from: try next(), depth: depth + 1)
      entries.append(YAMLNode.Entry(key: key, position: event.position, value: value))
    }
  }

  private func error(_ sentence: String, at position: YAMLPosition) -> YAMLError {
    YAMLError(file: file, position: position, sentence: sentence)
  }
}

// MARK: libyaml's events as Swift values

extension EventParser {
  struct Event {
    enum Kind: Equatable {
      case documentStart, streamEnd, sequenceStart, sequenceEnd, mappingStart, mappingEnd, other
      case scalar(text: String, plain: Bool)
      case alias(String)
      case tagged(String)
    }
    var kind: Kind
    var position: YAMLPosition
  }

  private func next() throws(YAMLError) -> Event {
    var event = yaml_event_t()
    guard yaml_parser_parse(parser, &event) == 1 else { throw syntaxError() }
    defer { yaml_event_delete(&event) }
    return Event(kind: kind(of: event), position: position(event.start_mark))
  }

  private func kind(of event: yaml_event_t) -> Event.Kind {
    switch event.type {
    case YAML_STREAM_END_EVENT: return .streamEnd
    case YAML_DOCUMENT_START_EVENT: return .documentStart
    case YAML_SEQUENCE_START_EVENT: return tag(event.data.sequence_start.tag) ?? .sequenceStart
    case YAML_SEQUENCE_END_EVENT: return .sequenceEnd
    case YAML_MAPPING_START_EVENT: return tag(event.data.mapping_start.tag) ?? .mappingStart
    case YAML_MAPPING_END_EVENT: return .mappingEnd
    case YAML_ALIAS_EVENT: return .alias(text(event.data.alias.anchor))
    case YAML_SCALAR_EVENT:
      let scalar = event.data.scalar
      let bytes = UnsafeBufferPointer(start: scalar.value, count: scalar.length)
      return tag(scalar.tag)
        ?? .scalar(
          text: String(decoding: bytes, as: UTF8.self), plain: scalar.style == YAML_PLAIN_SCALAR_STYLE)
    default: return .other
    }
  }

  private func tag(_ pointer: UnsafeMutablePointer<yaml_char_t>?) -> Event.Kind? {
    pointer.map { .tagged(text($0)) }
  }

  private func text(_ pointer: UnsafeMutablePointer<yaml_char_t>?) -> String {
    pointer.map { String(cString: $0) } ?? ""
  }

  /// libyaml's marks count from 0.
  private func position(_ mark: yaml_mark_t) -> YAMLPosition {
    YAMLPosition(line: mark.line + 1, column: mark.column + 1)
  }

  private func syntaxError() -> YAMLError {
    let problem = parser.pointee.problem.map { String(cString: $0) } ?? "not readable"
    if parser.pointee.error == YAML_READER_ERROR {
      return error("not UTF-8 text: \(problem)", at: position(ofByte: parser.pointee.problem_offset))
    }
    let mark = parser.pointee.problem_mark
    // The scanner's own words for a tab ("character that cannot start any token") send nobody to the tab.
    if let byte = byte(line: mark.line, column: mark.column), byte == UInt8(ascii: "\t") {
      return error("a tab can't indent or separate here; use spaces", at: position(mark))
    }
    let context = parser.pointee.context.map { ", " + String(cString: $0) } ?? ""
    return error("not YAML: \(problem)\(context)", at: position(mark))
  }

  /// The place of a byte: marks of reader errors are not set.
  private func position(ofByte offset: Int) -> YAMLPosition {
    let before = input.prefix(min(offset, input.count))
    let line = before.count { $0 == UInt8(ascii: "\n") } + 1
    let lineStart = (before.lastIndex(of: UInt8(ascii: "\n")) ?? -1) + 1
    // Continuation bytes belong to the character before them.
    return YAMLPosition(line: line, column: before[lineStart...].count { $0 & 0xC0 != 0x80 } + 1)
  }

  /// The byte at a mark on a line of plain ASCII; good enough to recognise a tab.
  private func byte(line: Int, column: Int) -> UInt8? {
    let lines = input.split(separator: UInt8(ascii: "\n"), maxSplits: line + 1, omittingEmptySubsequences: false)
    guard line < lines.count, column < lines[line].count else { return nil }
    return lines[line][lines[line].startIndex + column]
  }
}
