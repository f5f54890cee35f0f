import Glibc
import HTTPServer
import JSON
import LocalHub
import Synchronization

/// A Hub called without a network in between.
struct TestHub {
  let hub: LocalHub

  init(_ change: (inout LocalHubOptions) -> Void = { _ in }) throws {
    var options = LocalHubOptions()
    options.agents = ["ada": "Ada", "claude-coder-1": nil]
    options.syncToDisk = false
    change(&options)
    hub = try LocalHub(options)
  }

  /// Status and body; `body` as JSON text.
  func call(
    _ method: String, _ target: String, _ body: String = "", key: String? = nil,
    headers: [(name: String, value: String)] = []
  ) async throws -> (status: Int, text: String, response: ServerResponse) {
    let parts = target.split(separator: "?", maxSplits: 1).map(String.init)
    let pairs = parts.count < 2 ? [] : parts[1].split(separator: "&")
    let query = pairs.map { pair -> (name: String, value: String) in
      let halves = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
      return (name: halves[0], value: halves.count > 1 ? halves[1] : "")
    }
    let request = ServerRequest(
      method: method, path: parts[0], query: query,
      headers: headers + (key.map { [(name: "Idempotency-Key", value: $0)] } ?? []), body: Array(body.utf8))
    let response: ServerResponse
    do {
      response = try await hub.handler(request)
    } catch let refusal as ServerRefusal {
      response = refusal.response
    }
    return (response.status, String(decoding: response.body, as: UTF8.self), response)
  }

  func json(_ method: String, _ target: String, _ body: String = "", key: String? = nil) async throws -> JSONValue {
    try JSONValue(parsing: try await call(method, target, body, key: key).response.body)
  }

  /// The error's sentence.
  func refusal(_ method: String, _ target: String, _ body: String = "") async throws -> String {
    let answer = try await call(method, target, body)
    let value = try JSONValue(parsing: answer.response.body)
    return "\(answer.status) \(value["error"]?["message"]?.string ?? answer.text)"
  }

  /// (type, agent, post) of every unread notification.
  func unread(_ agent: String = "*") async throws -> [String] {
    let list = try await json("GET", "/api/v1/notifications?agent=\(agent)&unread=true")["notifications"]?.array ?? []
    return list.map { "\($0["type"]?.string ?? "?") \($0["agent_id"]?.string ?? "?") \($0["post_id"]?.string ?? "-")" }
  }
}

/// A file name of its own in a directory of its own, removed at the end.
final class ScratchFile: Sendable {
  let path: String
  private let directory: String

  init() {
    var template = Array("/tmp/botburrow-hub-XXXXXX".utf8CString)
    _ = mkdtemp(&template)
    directory = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    path = directory + "/journal"
  }

  deinit {
    unlink(path)
    rmdir(directory)
  }

  func append(_ text: String) {
    let descriptor = open(path, O_WRONLY | O_APPEND | O_CREAT, 0o600)
    let bytes = Array(text.utf8)
    _ = write(descriptor, bytes, bytes.count)
    close(descriptor)
  }
}
