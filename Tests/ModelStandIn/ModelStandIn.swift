import Glibc
import HTTPServer
import JSON
import Synchronization

/// Stands in for the model providers: Anthropic Messages, OpenAI Chat Completions and Responses, on one local address.
/// It says what its scenario says, misbehaves as told, and keeps a journal of what it got and of the exact token counts
/// that it sent.
public final class ModelStandIn: Sendable {
  private struct State {
    var scenario: Scenario
    var entries: [JournalEntry] = []
    /// Requests so far.
    var count = 0
    /// Refusals so far, by scenario and turn.
    var refused: [String: Int] = [:]
  }
  private let state: Mutex<State>
  private let key: String
  private let journal: Int32?
  private let listensFor: [String]
  private let server = Mutex<HTTPServer?>(nil)

  /// Where it can be reached, without a path.
  public var url: String { "http://127.0.0.1:\(server.withLock { $0?.port ?? 0 })" }
  /// What it got and sent, in the order in which answers ended.
  public var entries: [JournalEntry] { state.withLock { $0.entries } }
  /// All tokens that it sent.
  public var sent: Scenario.Usage {
    entries.compactMap(\.usage).reduce(Scenario.Usage()) { sum, one in
      Scenario.Usage(
        input: sum.input + one.input, cacheRead: sum.cacheRead + one.cacheRead,
        cacheWrite: sum.cacheWrite + one.cacheWrite, output: sum.output + one.output)
    }
  }

  private init(_ scenario: Scenario, key: String, journal: Int32?, listensFor: [String]) {
    state = Mutex(State(scenario: scenario))
    self.listensFor = listensFor
    self.key = key
    self.journal = journal
  }

  /// Listens on 127.0.0.1.
  /// - Parameters:
  ///   - key: the only one that is taken, as `x-api-key` or as a bearer token.
  ///   - port: 0 for a free one.
  ///   - journal: a file to append a line of JSON to for each request.
  ///   - listensFor: texts that the journal notes where a request holds them.
  ///   - address: another place to listen at; `port` doesn't count then.
  public static func start(
    _ scenario: Scenario, key: String = "stand-in-key", port: Int = 0, journal: String? = nil,
    listensFor: [String] = [], at address: ServerAddress? = nil
  ) async throws -> ModelStandIn {
    var file: Int32?
    if let journal {
      let descriptor = open(journal, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o644)
      guard descriptor >= 0 else {
        throw ScenarioError(description: "\(journal) can't be written: \(String(cString: strerror(errno)))")
      }
      file = descriptor
    }
    let standIn = ModelStandIn(scenario, key: key, journal: file, listensFor: listensFor)
    var options = HTTPServer.Options()
    options.maxBodyBytes = 64 << 20
    options.maxConnections = 4096
    let server = try await HTTPServer.start(at: address ?? .tcp(host: "127.0.0.1", port: port), options: options) {
      request in
      try await standIn.answer(request)
    }
    standIn.server.withLock { $0 = server }
    return standIn
  }

  /// From now on.
  public func use(_ scenario: Scenario) {
    state.withLock {
      $0.scenario = scenario
      $0.refused = [:]
    }
  }

  /// Ends it and its connections.
  public func stop() async {
    await server.withLock { $0 }?.stop(grace: .zero)
    if let journal { close(journal) }
  }

  // MARK: Answers

  private func answer(_ request: ServerRequest) async throws -> ServerResponse {
    switch (request.method, request.path) {
    case ("HEAD", "/api/hello"), ("GET", "/api/hello"): return ServerResponse(status: 200)
    case ("GET", "/v1/models"):
      return try .json(["object": "list", "data": [["id": "stand-in", "object": "model"]]] as JSONValue)
    case ("POST", "/v1/messages"): return try await speak(.anthropic, request)
    case ("POST", "/v1/chat/completions"): return try await speak(.chat, request)
    case ("POST", "/v1/responses"): return try await speak(.responses, request)
    case ("POST", "/v1/messages/count_tokens"):
      let entry = entry(request, nil, scenario: "", status: 200)
      keep(entry)
      guard entry.key == .right else { return try .json(401, AnthropicWriter().error(401)) }
      return try .json(["input_tokens": .count(max(1, request.body.count / 4))] as JSONValue)
    default:
      keep(entry(request, nil, scenario: "", status: 404))
      return .failure(404, code: "not_found", message: "the stand-in has nothing at \(request.path)")
    }
  }

  private func speak(_ dialect: Asked.Dialect, _ request: ServerRequest) async throws -> ServerResponse {
    let writer = dialect.writer
    guard let body = try? JSONValue(parsing: request.body), body.object != nil else {
      keep(entry(request, nil, scenario: "", status: 400))
      return try .json(400, writer.error(400))
    }
    let asked = Asked(dialect, body)
    let (name, turns) = state.withLock {
      $0.scenario.choose(model: asked.model, body: String(decoding: request.body, as: UTF8.self))
    }
    let turn = turns.isEmpty ? Scenario.Turn() : turns[min(asked.turn, turns.count - 1)]
    var entry = entry(request, asked, scenario: name, status: 200)
    if entry.key != .right { return try refuse(401, &entry, writer) }
    if turn.firstByte > .zero { try await Task.sleep(for: turn.firstByte) }
    if let refusal = turn.refusal, isDue(refusal, "\(name) \(asked.turn)") {
      return try refuse(refusal.status, &entry, writer, retryAfter: refusal.retryAfter)
    }
    let reply = Reply(turn, to: asked, number: entry.number)
    entry.usage = reply.usage
    let request = ("request-id", "req_\(entry.number)")
    return asked.streams
      ? stream(writer.events(reply, asked), turn, entry, asked, [request])
      : try whole(writer.whole(reply), turn, entry, [request])
  }

  private func refuse(
    _ status: Int, _ entry: inout JournalEntry, _ writer: any DialectWriter, retryAfter: Int? = nil
  ) throws -> ServerResponse {
    entry.status = status
    keep(entry)
    return try .json(
      status, writer.error(status), headers: retryAfter.map { [("Retry-After", "\($0)")] } ?? [])
  }

  private func whole(
    _ value: JSONValue, _ turn: Scenario.Turn, _ entry: JournalEntry, _ headers: [(name: String, value: String)]
  ) throws -> ServerResponse {
    guard turn.cutAfter != nil else {
      keep(entry)
      return try .json(200, value, headers: headers)
    }
    let bytes = Array(value.compactText.utf8)
    return ServerResponse(status: 200, headers: headers + [("Content-Type", "application/json")]) { writer in
      try await writer.write(Array(bytes.prefix(bytes.count / 2)))
      self.keepCut(entry, said: nil)
      throw Cut()
    }
  }

  private func stream(
    _ events: [StreamEvent], _ turn: Scenario.Turn, _ entry: JournalEntry, _ asked: Asked,
    _ headers: [(name: String, value: String)]
  ) -> ServerResponse {
    ServerResponse(status: 200, headers: headers + [("Content-Type", "text/event-stream; charset=utf-8")]) { writer in
      for (index, event) in events.enumerated() {
        if index == turn.cutAfter {
          // Anthropic's first event tells the input; the others tell all at their end.
          let said = asked.dialect == .anthropic && index > 0 ? entry.usage : nil
          self.keepCut(entry, said: said)
          throw Cut()
        }
        if index > 0, turn.between > .zero { try await Task.sleep(for: turn.between) }
        // Whoever has the last event may look at the journal at once.
        if index == events.count - 1 { self.keep(entry) }
        try await writer.write(event.bytes)
      }
    }
  }

  private struct Cut: Error {}

  private func isDue(_ refusal: Scenario.Refusal, _ place: String) -> Bool {
    guard let times = refusal.times else { return true }
    return state.withLock { state in
      let before = state.refused[place, default: 0]
      state.refused[place] = before + 1
      return before < times
    }
  }

  // MARK: The journal

  private func entry(_ request: ServerRequest, _ asked: Asked?, scenario: String, status: Int) -> JournalEntry {
    let bearer = request.header("authorization").map { $0.hasPrefix("Bearer ") ? String($0.dropFirst(7)) : $0 }
    let keys = [request.header("x-api-key"), bearer].compactMap { $0 }
    let body = String(decoding: request.body, as: UTF8.self)
    let texts = request.headers.map(\.value) + [body]
    return JournalEntry(
      number: state.withLock {
        $0.count += 1
        return $0.count
      },
      path: request.path, query: request.query.map { "\($0.name)=\($0.value)" }.joined(separator: "&"),
      model: asked?.model ?? "", streams: asked?.streams ?? false, turn: asked?.turn ?? 0,
      scenario: scenario, tools: asked?.tools.map(\.name) ?? [],
      key: keys.isEmpty ? .missing : keys.allSatisfy { $0 == key } ? .right : .wrong,
      sandboxToken: texts.contains(where: holdsToken), bytes: request.body.count,
      heard: listensFor.filter { body.contains($0) },
      status: status, cut: false)
  }

  private func keepCut(_ entry: JournalEntry, said: Scenario.Usage?) {
    var entry = entry
    entry.cut = true
    entry.usage = said.map { Scenario.Usage(input: $0.input, cacheRead: $0.cacheRead, cacheWrite: $0.cacheWrite) }
    keep(entry)
  }

  private func keep(_ entry: JournalEntry) {
    state.withLock { $0.entries.append(entry) }
    guard let journal else { return }
    let line = Array((entry.json.compactText + "\n").utf8)
    // One write a line, so that a reader never sees half of one.
    if write(journal, line, line.count) != line.count { print("the journal can't be written") }
  }
}

/// Whether a text holds 64 hexadecimal digits in a row: the form of an activation's token.
func holdsToken(_ text: String) -> Bool {
  var run = 0
  for byte in text.utf8 {
    let isDigit = (48...57).contains(byte) || (97...102).contains(byte)
    run = isDigit ? run + 1 : 0
    if run == 64 { return true }
  }
  return false
}
