import Testing

@testable import YAML

/// The exact text of the error that parsing gives, or nothing.
private func message(_ text: String, limits: YAML.Limits = YAML.Limits()) -> String? {
  message(bytes: Array(text.utf8), limits: limits)
}
private func message(bytes: [UInt8], limits: YAML.Limits = YAML.Limits()) -> String? {
  do throws(YAMLError) {
    _ = try YAML.parse(bytes, file: "f.yaml", limits: limits)
    return nil
  } catch {
    return error.description
  }
}

@Suite struct ParserTests {
  @Test func everyNodeHasItsPlace() throws {
    let root = try YAML.parse("# note\na: 1\nlist:\n  - x\n  - {k: 'v'}\n".utf8, file: "f.yaml")
    let entries = try #require(root.entries)
    #expect(entries.map(\.key) == ["a", "list"])
    #expect(entries.map(\.position) == [YAMLPosition(line: 2, column: 1), YAMLPosition(line: 3, column: 1)])
    #expect(root["a"] == YAMLNode(.scalar(text: "1", plain: true), at: YAMLPosition(line: 2, column: 4)))
    let elements = try #require(root["list"]?.elements)
    #expect(elements.map(\.position) == [YAMLPosition(line: 4, column: 5), YAMLPosition(line: 5, column: 5)])
    #expect(elements[1]["k"] == YAMLNode(.scalar(text: "v", plain: false), at: YAMLPosition(line: 5, column: 9)))
  }

  @Test func nullIsNothingButQuotedNullIsText() throws {
    let root = try YAML.parse("a:\nb: ~\nc: null\nd: 'null'\ne: ''\n".utf8, file: "f.yaml")
    #expect(["a", "b", "c"].allSatisfy { root[$0]?.isNull == true && root[$0]?.text == nil })
    #expect(root["d"]?.text == "null")
    #expect(root["e"]?.text == "")
  }

  @Test func blockScalarsAndUnicodeSurvive() throws {
    let root = try YAML.parse("text: |\n  zwei\n  Zeilen ä\nü: 'é'\n".utf8, file: "f.yaml")
    #expect(root["text"]?.text == "zwei\nZeilen ä\n")
    #expect(root["ü"]?.text == "é")
  }

  @Test func emptyFileIsNull() throws {
    #expect(try YAML.parse([], file: "f.yaml").isNull)
    #expect(try YAML.parse("# only a comment\n".utf8, file: "f.yaml").isNull)
    #expect(try YAML.parse("\u{FEFF}a: 1\n".utf8, file: "f.yaml")["a"]?.text == "1")
  }

  @Test(arguments: [
    ("a: 1\nb: 2\na: 3\n", "f.yaml:3:1: key 'a' is given twice; the first is on line 1"),
    ("a: &x 1\nb: *x\n", "f.yaml:2:4: aliases are not read; write the value of '*x' out"),
    (
      "a: !!python/object:os.system x\n",
      "f.yaml:1:4: tags are not read; leave 'tag:yaml.org,2002:python/object:os.system' out"
    ),
    ("a: 1\n---\nb: 2\n", "f.yaml:2:1: a second document begins here; one file holds one document"),
    ("a:\n\tb: 1\n", "f.yaml:2:1: a tab can't indent or separate here; use spaces"),
    ("a: [1, 2\n", "f.yaml:2:1: not YAML: did not find expected ',' or ']', while parsing a flow sequence"),
    ("a: b: c\n", "f.yaml:1:5: not YAML: mapping values are not allowed in this context"),
    ("a: 'x\n", "f.yaml:2:1: not YAML: found unexpected end of stream, while scanning a quoted scalar"),
    ("[a, b]: 1\n", "f.yaml:1:1: a key must be text, not a list or a mapping"),
  ])
  func badTextSaysWhereAndWhat(text: String, expected: String) {
    #expect(message(text) == expected)
  }

  @Test func bytesThatAreNotUTF8() {
    #expect(
      message(bytes: Array("a: 1\nb: ä".utf8) + [0xFF]) == "f.yaml:2:5: not UTF-8 text: invalid leading UTF-8 octet")
    #expect(message(bytes: Array("a: \u{1}".utf8)) == "f.yaml:1:4: not UTF-8 text: control characters are not allowed")
  }

  @Test func limitsHold() {
    var limits = YAML.Limits()
    limits.depth = 3
    #expect(message("[[[[1]]]]", limits: limits) == "f.yaml:1:5: nested deeper than 3 levels")
    #expect(message("[[[1]]]", limits: limits) == nil)
    limits.nodes = 4
    #expect(message("[1, 2, 3]", limits: limits) == nil)
    #expect(message("[1, 2, 3, 4]", limits: limits) == "f.yaml:1:11: the file holds more than 4 values")
    limits.bytes = 8
    #expect(message("[1, 2, 3]", limits: limits) == "f.yaml:1:1: the file has 9 bytes; at most 8 are read")
  }

  /// Whatever the bytes, parsing and reading end with a tree or an error that names a place in the file.
  @Test func damagedFilesNeverCrash() throws {
    let text = Array("a: &x {b: [1, 'two', \"thr\\u00e9e\"], ? c : |\n  d\n}\n# e\n--- %f\nä: *x\n".utf8)
    var failures = 0
    for index in text.indices {
      for byte in [0, 9, 10, 0x22, 0x27, 0x2D, 0x3A, 0x5B, 0x7B, 0x80, 0xFF] as [UInt8] {
        var damaged = text
        damaged[index] = byte
        for bytes in [damaged, Array(damaged[...index])] {
          do throws(YAMLErrors) {
            try YAML.read(bytes, file: "f.yaml", environment: [:]) { _ = $0.optional("a", .stringMap) }
          } catch {
            failures += 1
            #expect(
              error.errors.allSatisfy { $0.position.line >= 1 && $0.position.line <= 8 && $0.position.column >= 1 })
          }
        }
      }
    }
    #expect(failures > 100)
  }

  @Test func frontMatterKeepsTheFilesPositions() throws {
    let bytes = Array("---\nname: x\nbad: *y\n---\n# Body\n---\nmore\n".utf8)
    let front = try FrontMatter(splitting: bytes, file: "SKILL.md")
    #expect(front.body == "# Body\n---\nmore\n")
    #expect(
      throws: YAMLError(
        file: "SKILL.md", position: YAMLPosition(line: 3, column: 6),
        sentence: "aliases are not read; write the value of '*y' out")
    ) {
      try YAML.parse(front.header, file: "SKILL.md")
    }
  }

  @Test(arguments: [
    (
      "# Title\n",
      "SKILL.md:1:1: the file must begin with a line '---', then keys such as name and description, then '---'"
    ),
    ("---\nname: x\n", "SKILL.md:1:1: the header that begins here is never closed; end it with a line '---'"),
  ])
  func badFrontMatter(text: String, expected: String) {
    let error = #expect(throws: YAMLError.self) { try FrontMatter(splitting: Array(text.utf8), file: "SKILL.md") }
    #expect(error?.description == expected)
  }
}
