import Glibc
import JSON
import Logging
import Testing

@testable import Observe

@Suite struct LogTests {
  private func record(_ metadata: Logger.Metadata, message: String = "activation ended") -> LogRecord {
    LogRecord(time: 1_769_860_800_250_999, level: .info, component: "runner", message: message, metadata: metadata)
  }

  @Test func writesOneLineOfJSONWithTheFieldsOfTheSeed() {
    let line = record([
      "activation_id": "5b0e", "agent_id": "claude-coder-1", "tool_type": "claude-code",
      "duration": "\(1.5)", "tokens": ["input": .stringConvertible(12), "output": "3"],
      "exit": .stringConvertible(true), "list": ["a", "b"],
    ])
    #expect(
      String(decoding: line.jsonLine(), as: UTF8.self)
        == #"{"time":"2026-01-31T12:00:00.250Z","level":"info","component":"runner","message":"activation ended","activation_id":"5b0e","agent_id":"claude-coder-1","duration":1.5,"exit":true,"list":["a","b"],"tokens":{"input":12,"output":"3"},"tool_type":"claude-code"}"#
        + "\n")
  }

  @Test(arguments: ["1.5", "0", "-3", "1e5", "0.25"]) func takesNumbersAsNumbers(_ text: String) throws {
    let value = try JSONValue(parsing: record(["duration": "\(text)"]).jsonLine())
    #expect(value["duration"]?.double == Double(text))
  }

  @Test(arguments: ["nan", "inf", "0x1p3", "01", "1.", "", "five", ".5", "+1"])
  func leavesOtherTextText(_ text: String) throws {
    #expect(try JSONValue(parsing: record(["duration": "\(text)"]).jsonLine())["duration"]?.string == text)
  }

  @Test func staysOneReadableLineWhateverIsLogged() throws {
    let nasty = "a\"b\\c\nd\u{1B}[31m\u{0}é\r\n"
    let line = record(["text": "\(nasty)", "time": "mine"], message: nasty).jsonLine()
    #expect(line.filter { $0 == 10 }.count == 1)
    let value = try JSONValue(parsing: line)
    #expect(value["message"]?.string == nasty)
    #expect(value["text"]?.string == nasty)
    #expect(value["time_"]?.string == "mine")
    #expect(
      String(decoding: record(["k": "\(nasty)"], message: "m").humanLine(colour: false), as: UTF8.self)
        == #"12:00:00.250 INFO runner: m k=a"b\c\u{a}d\u{1b}[31m\u{0}é\u{d}\u{a}"# + "\n")
  }

  @Test func coloursTheLevelForPeople() {
    #expect(
      String(decoding: record([:], message: "m").humanLine(colour: true), as: UTF8.self)
        == "\u{1B}[2m12:00:00.250\u{1B}[0m \u{1B}[32mINFO\u{1B}[0m runner: m\n")
  }

  @Test(arguments: [
    "api_key", "HUB_API_KEY", "token", "accessToken", "access-token", "client_secret", "secrets", "Authorization",
    "proxy-authorization", "password", "db_password_old", "R2_SECRET_ACCESS_KEY", "aws_credentials",
  ])
  func redacts(_ name: String) {
    #expect(Redaction.isSecret(name))
    let metadata: Logger.Metadata = [name: "hunter2", "request": ["headers": [.dictionary([name: "hunter2"])]]]
    for line in [record(metadata).jsonLine(), record(metadata).humanLine(colour: true)] {
      let text = String(decoding: line, as: UTF8.self)
      #expect(!text.contains("hunter2"))
      #expect(text.contains("[redacted]"))
    }
  }

  @Test(arguments: ["tokens", "tokens_input", "agent_id", "monkey", "keyboard", "tool_type", "duration"])
  func keepsWhatIsNoSecret(_ name: String) { #expect(!Redaction.isSecret(name)) }

  @Test(arguments: [
    (0, "1970-01-01T00:00:00.000Z"), (951_782_400_999_999, "2000-02-29T00:00:00.999Z"),
    (-1, "1969-12-31T23:59:59.999Z"),
  ])
  func writesMoments(_ microseconds: Int64, _ text: String) { #expect(Timestamp.text(microseconds) == text) }

  @Test func writesEachRecordOfALoggerToItsDescriptor() throws {
    var ends: [Int32] = [0, 0]
    try #require(pipe(&ends) == 0)
    defer { close(ends[0]) }
    var logger = Logger(label: "test") { [ends] _ in
      StderrLogHandler(level: .info, component: "hub", form: .json, descriptor: ends[1])
    }
    logger[metadataKey: "agent_id"] = "a"
    logger.debug("too low")
    logger.warning("one", metadata: ["n": "1"])
    logger.info("two", metadata: ["agent_id": "b"])
    close(ends[1])
    var buffer = [UInt8](repeating: 0, count: 4096)
    let count = read(ends[0], &buffer, buffer.count)
    let lines = try buffer[..<max(0, count)].split(separator: 10).map { try JSONValue(parsing: $0) }
    #expect(lines.map { $0["message"]?.string } == ["one", "two"])
    #expect(lines.map { $0["agent_id"]?.string } == ["a", "b"])
    #expect(lines.map { $0["level"]?.string } == ["warning", "info"])
    #expect(lines.map { $0["component"]?.string } == ["hub", "hub"])
  }
}
