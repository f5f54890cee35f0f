import Glibc
import JSON
import Linux
import Synchronization

@testable import Gateway

/// A tool server of a test's own behind pipes: answers line by line as the test says.
final class StdioServer: Sendable {
  private let input: Descriptor
  private let output: Descriptor
  private let errors: Descriptor
  private let seen = Mutex<[JSONValue]>([])
  /// The client's ends, for `StdioClient.start`.
  let ends: (input: Int32, output: Int32, errors: Int32)

  /// What it does with a message: lines to write, in order.
  typealias Answer = @Sendable (JSONValue) -> [String]

  init(_ answer: @escaping Answer) throws {
    let (theirInput, ourInput) = try makePipe()
    let (ourOutput, theirOutput) = try makePipe()
    let (ourErrors, theirErrors) = try makePipe()
    (input, output, errors) = (theirInput, theirOutput, theirErrors)
    ends = (ourInput.release(), ourOutput.release(), ourErrors.release())
    let (input, output) = (input, output)
    Thread.detach { [self] in
      var line: [UInt8] = []
      var byte: UInt8 = 0
      while read(input.number, &byte, 1) == 1 {
        if byte != 10 {
          line.append(byte)
          continue
        }
        if let message = try? JSONValue(parsing: line) {
          seen.withLock { $0.append(message) }
          for text in answer(message) { try? output.write((text + "\n").utf8) }
        }
        line = []
      }
      output.close()
    }
  }

  /// Everything that the client wrote.
  var messages: [JSONValue] { seen.withLock { $0 } }
  func methods() -> [String] { messages.compactMap { $0["method"]?.string } }
  func say(_ text: String) throws { try output.write((text + "\n").utf8) }
  func complain(_ text: String) throws { try errors.write((text + "\n").utf8) }
  func end() { output.close() }

  /// A client of it.
  func client(_ change: (inout StdioClient.Options) -> Void = { _ in }) async throws -> StdioClient {
    var options = StdioClient.Options()
    change(&options)
    return try await StdioClient.start(
      input: ends.input, output: ends.output, errors: ends.errors, options: options)
  }

  /// The answers of a well-behaved server; `call` answers `tools/call`.
  static func ordinary(
    tools: [String] = ["read", "write"], version: String = "2025-11-25",
    call: @escaping @Sendable (JSONValue) -> [String] = { [result($0, ["content": []])] }
  ) -> Answer {
    { message in
      switch message["method"]?.string {
      case "initialize":
        [
          result(
            message,
            [
              "protocolVersion": .string(version), "capabilities": ["tools": [:]],
              "serverInfo": ["name": "x", "version": "1"],
            ])
        ]
      case "tools/list":
        [result(message, ["tools": .array(tools.map { ["name": .string($0), "inputSchema": ["type": "object"]] })])]
      case "tools/call": call(message)
      default: []
      }
    }
  }

  static func result(_ message: JSONValue, _ result: JSONValue) -> String {
    JSONValue.object(["jsonrpc": "2.0", "id": message["id"] ?? .null, "result": result]).compactText
  }
}
