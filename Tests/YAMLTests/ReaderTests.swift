import Testing

@testable import YAML

/// Reads `text` with `body`; the exact text of all errors, or nothing.
private func messages(
  _ text: String, environment: [String: String]? = nil, _ body: (MappingReader) -> Void
) -> String? {
  do throws(YAMLErrors) {
    try YAML.read(text.utf8, file: "f.yaml", environment: environment, body)
    return nil
  } catch {
    return error.description
  }
}

private enum Shape: String, CaseIterable { case round, square }

@Suite struct ReaderTests {
  @Test func readsEachKind() throws {
    let text = """
      name: x
      count: 7
      ratio: 0.5
      on: yes
      wait: 1h30m
      size: 512M
      shape: square
      words: [a, b]
      env: {A: '1', B: two}
      x-note: anything
      """
    try YAML.read(text.utf8, file: "f.yaml") { reader in
      #expect(reader.required("name", .nonEmptyString) == "x")
      #expect(reader.required("count", .int(in: 1...10)) == 7)
      #expect(reader.required("ratio", .double(in: 0...2)) == 0.5)
      #expect(reader.required("on", .bool))
      #expect(reader.required("wait", .duration()) == .seconds(5400))
      #expect(reader.required("size", .byteSize()) == 512 << 20)
      #expect(reader.required("shape", .oneOf(Shape.self, else: .round)) == .square)
      #expect(reader.required("words", .stringList) == ["a", "b"])
      #expect(reader.required("env", .stringMap) == ["A": "1", "B": "two"])
      #expect(reader.optional("absent", .bool) == nil)
      #expect(reader.value("absent", .int(in: 0...9), default: 3) == 3)
    }
  }

  @Test func reportsEverythingAtOnceInReadingOrder() {
    let text = """
      name: [1]
      count: 70
      pol_interval: 1s
      nested:
        bogus: 1
      """
    let expected = """
      f.yaml:1:1: 'other' is missing
      f.yaml:1:7: 'name' must be text, not a list
      f.yaml:2:8: 'count' must be a whole number between 1 and 10, not '70'
      f.yaml:3:1: unknown key 'pol_interval'; did you mean 'poll_interval'?
      f.yaml:5:3: 'url' is missing in 'nested'
      f.yaml:5:3: unknown key 'bogus'; known here: key, url
      """
    let text2 = messages(text) { reader in
      _ = reader.required("name", .string)
      _ = reader.required("count", .int(in: 1...10))
      _ = reader.optional("poll_interval", .duration())
      reader.mapping("nested") { nested in
        _ = nested.required("url", .string)
        _ = nested.optional("key", .string)
      }
      _ = reader.required("other", .string)
    }
    #expect(text2 == expected)
  }

  @Test(arguments: [
    ("v: 5", "f.yaml:1:4: 'v' must be a duration such as 500ms, 30s or 1h30m; '5' has no unit"),
    ("v: 5 s", "f.yaml:1:4: 'v' must be a duration such as 500ms, 30s or 1h30m, not '5 s'"),
    ("v: 2m", "f.yaml:1:4: 'v' must be between 1s and 1m, not '2m'"),
    ("v: {a: 1}", "f.yaml:1:4: 'v' must be a duration such as 500ms, 30s or 1h30m, not a mapping"),
    ("v:", "f.yaml:1:1: 'v' is missing"),
  ])
  func badDuration(text: String, expected: String) {
    #expect(messages(text) { _ = $0.required("v", .duration(in: .seconds(1) ... .seconds(60))) } == expected)
  }

  @Test(arguments: [
    ("v: 5X", "f.yaml:1:4: 'v' must be a size such as 512M or 1GiB, not '5X'"),
    ("v: 2M", "f.yaml:1:4: 'v' must be between 0 and 1MiB, not '2M'"),
  ])
  func badSize(text: String, expected: String) {
    #expect(messages(text) { _ = $0.required("v", .byteSize(in: 0...(1 << 20))) } == expected)
  }

  @Test func badBoolNumberWordAndElements() {
    #expect(
      messages("v: maybe") { _ = $0.required("v", .bool) } == "f.yaml:1:4: 'v' must be true or false, not 'maybe'")
    #expect(
      messages("v: nan") { _ = $0.required("v", .double(in: 0...2)) }
        == "f.yaml:1:4: 'v' must be a number between 0 and 2, not 'nan'")
    #expect(
      messages("v: oval") { _ = $0.required("v", .oneOf(Shape.self, else: .round)) }
        == "f.yaml:1:4: 'v' must be one of round, square, not 'oval'")
    #expect(
      messages("v: oval") { _ = $0.required("v", .oneOf(["a", "b"])) }
        == "f.yaml:1:4: 'v' must be one of a, b, not 'oval'")
    #expect(messages("v: ''") { _ = $0.required("v", .nonEmptyString) } == "f.yaml:1:4: 'v' must not be empty")
    #expect(messages("v: a") { _ = $0.required("v", .stringList) } == "f.yaml:1:4: 'v' must be a list, not 'a'")
    #expect(
      messages("v: [a, {b: c}]") { _ = $0.required("v", .stringList) }
        == "f.yaml:1:8: 'v[1]' must be text, not a mapping")
    #expect(
      messages("v: {A: [1]}") { _ = $0.required("v", .stringMap) } == "f.yaml:1:8: 'v[A]' must be text, not a list")
    #expect(
      messages("v: [a]") { reader in reader.mapping("v") { _ in } } == "f.yaml:1:4: 'v' must be a mapping, not a list")
  }

  @Test func topMustBeAMapping() {
    #expect(messages("- a") { _ in } == "f.yaml:1:1: the file must be a mapping of keys to values, not a list")
    #expect(messages("") { _ = $0.required("name", .string) } == "f.yaml:1:1: 'name' is missing")
    #expect(messages("a: 1") { _ in } == "f.yaml:1:1: unknown key 'a'; no key is known here")
  }

  @Test func variablesAreFilledIn() throws {
    let text = "a: ${A}\nb: 'x-${B:-none}-${A}'\nc: ${EMPTY:-full}\nd: ${EMPTY}\ne: $$HOME and $5\nf: ${N}\n"
    try YAML.read(text.utf8, file: "f.yaml", environment: ["A": "${B}", "EMPTY": "", "N": "7"]) { reader in
      #expect(reader.required("a", .string) == "${B}", "what is put in is not looked through again")
      #expect(reader.required("b", .string) == "x-none-${B}")
      #expect(reader.required("c", .string) == "full")
      #expect(reader.required("d", .string) == "")
      #expect(reader.required("e", .string) == "$HOME and $5")
      #expect(reader.required("f", .int(in: 0...9)) == 7)
    }
  }

  @Test(arguments: [
    (
      "hub:\n  api_key: ${HUB_API_KEY}",
      "f.yaml:2:12: environment variable HUB_API_KEY is not set; export it or write ${HUB_API_KEY:-default}"
    ),
    (
      "hub:\n  api_key: x${HUB_API_KEY}",
      "f.yaml:2:13: environment variable HUB_API_KEY is not set; export it or write ${HUB_API_KEY:-default}"
    ),
    (
      "hub:\n  api_key: ${HUB", "f.yaml:2:12: '${' is never closed; write ${NAME}, or $${ for the characters themselves"
    ),
    (
      "hub:\n  api_key: ${a-b}",
      "f.yaml:2:12: 'a-b' is not the name of an environment variable; write ${NAME} or ${NAME:-default}"
    ),
  ])
  func badVariable(text: String, expected: String) {
    let text = messages(text, environment: [:]) { reader in
      reader.mapping("hub") { _ = $0.optional("api_key", .string) }
    }
    #expect(text == expected)
  }

  @Test func withoutAnEnvironmentNothingIsReplaced() throws {
    try YAML.read("a: ${A}".utf8, file: "f.yaml") { #expect($0.required("a", .string) == "${A}") }
  }
}

@Suite struct UnitTests {
  @Test(arguments: [
    ("30s", 30_000), ("500ms", 500), ("4h", 14_400_000), ("1h30m", 5_400_000), ("2d", 172_800_000), ("1.5s", 1500),
    ("0s", 0), ("0.001s", 1),
  ])
  func durations(text: String, milliseconds: Int) {
    #expect(YAMLUnits.duration(text) == .milliseconds(milliseconds))
  }

  @Test(arguments: [
    "", "s", "30", "30 s", "-1s", "1m1h", "1s1s", "1.s", ".5s", "0.5ms", "1e3s", "999999999999999999d", "٣s",
  ])
  func notDurations(text: String) {
    #expect(YAMLUnits.duration(text) == nil)
  }

  @Test func durationsAreWrittenAsTheyAreRead() {
    #expect(YAMLUnits.text(.milliseconds(5_400_000)) == "1h30m")
    #expect(YAMLUnits.text(.milliseconds(1500)) == "1s500ms")
    #expect(YAMLUnits.text(.zero) == "0s")
  }

  @Test(arguments: [("512M", 512 << 20), ("1GiB", 1 << 30), ("64k", 65536), ("10MB", 10_000_000), ("77", 77), ("0", 0)])
  func sizes(text: String, bytes: Int) {
    #expect(YAMLUnits.byteSize(text) == bytes)
  }

  @Test(arguments: ["", "M", "1.5G", "-1M", "99999999999T", "1X"])
  func notSizes(text: String) {
    #expect(YAMLUnits.byteSize(text) == nil)
  }

  @Test func nearestWord() {
    let keys = ["poll_interval", "stale_threshold", "url"]
    #expect(Spelling.nearest(to: "pol_interval", in: keys) == "poll_interval")
    #expect(Spelling.nearest(to: "pollinterval", in: keys) == "poll_interval")
    #expect(Spelling.nearest(to: "ulr", in: keys) == "url")
    #expect(Spelling.nearest(to: "replicas", in: keys) == nil)
    #expect(Spelling.distance("ab", "ba") == 1)
    #expect(Spelling.distance("", "abc") == 3)
  }
}
