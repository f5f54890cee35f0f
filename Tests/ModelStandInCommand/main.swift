import Glibc
import JSON
import ModelStandIn

// botburrow-model-standin: the stand-in of the model providers as a program.

let usage = """
  usage: botburrow-model-standin [--scenario FILE] [--key KEY] [--port PORT] [--journal FILE]

  Speaks Anthropic Messages, OpenAI Chat Completions and OpenAI Responses on 127.0.0.1, says what the scenario says, and
  writes a line of JSON to the journal for each request. Prints one line when it is ready:
  {"url": "http://127.0.0.1:PORT", "refused_url": "http://127.0.0.1:1"}; nobody listens at the second.

  A scenario: {"turns": [{"tool": "Write", "arguments": {"file_path": "a", "content": "b"}}, {"text": "Done."}],
               "scenarios": {"broken": [{"status": 429, "retry_after": 1, "times": 2, "text": "There."}]}}
  Further keys of a turn: calls, cut_after, first_byte_ms, between_ms, pieces, usage. The scenario 'broken' is for the
  model of that name, and for requests that hold [scenario broken].

  """

func fail(_ sentence: String) -> Never {
  let line = Array("botburrow-model-standin: \(sentence)\n".utf8)
  _ = write(STDERR_FILENO, line, line.count)
  exit(2)
}

func content(of path: String) -> [UInt8] {
  guard let file = fopen(path, "re") else { fail("\(path) can't be read: \(String(cString: strerror(errno)))") }
  defer { fclose(file) }
  var bytes: [UInt8] = []
  var buffer = [UInt8](repeating: 0, count: 65536)
  while case let count = fread(&buffer, 1, buffer.count, file), count > 0 { bytes += buffer[..<count] }
  return bytes
}

var options: [String: String] = [:]
var rest = CommandLine.arguments.dropFirst()
while let name = rest.popFirst() {
  if ["-h", "--help"].contains(name) {
    print(usage)
    exit(0)
  }
  guard ["--scenario", "--key", "--port", "--journal"].contains(name), let value = rest.popFirst() else {
    fail("'\(name)' is not an option with a value; --help tells")
  }
  options[name] = value
}

do {
  let scenario = try options["--scenario"].map { try Scenario(parsing: content(of: $0)) } ?? Scenario([.init("Good.")])
  guard let port = Int(options["--port"] ?? "0") else { fail("--port takes a number") }
  let standIn = try await ModelStandIn.start(
    scenario, key: options["--key"] ?? "stand-in-key", port: port, journal: options["--journal"])
  let ready: JSONValue = ["url": .string(standIn.url), "refused_url": "http://127.0.0.1:1"]
  print(ready.compactText)
  fflush(nil)
  while true { try await Task.sleep(for: .seconds(3600)) }
} catch {
  fail("\(error)")
}
