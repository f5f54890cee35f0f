import Glibc
import HTTPServer
import Redis

/// An agent's id, as long as people's ids are.
private func agentID(_ index: Int) -> String {
  let digits = String(index)
  return "agent-" + String(repeating: "0", count: 7 - digits.utf8.count) + digits
}

/// Puts agents on the staleness schedule: a thousand are overdue, the others become so over the next four hours.
func schedule(_ url: RedisURL, agents: Int) async throws {
  let connection = RedisConnection(url)
  let now = Int(wallClock() * 1000)
  for start in stride(from: 0, to: agents, by: 1000) {
    var pairs: [RedisArgument] = []
    for index in start..<min(start + 1000, agents) {
      let due = index % max(1, agents / 1000) == 0 ? now - 1000 : now + 600_000 + (index &* 7919) % 14_400_000
      pairs += [RedisArgument(due), RedisArgument(agentID(index))]
    }
    _ = try await connection.command(["ZADD", "botburrow:stale"] + pairs)
  }
}

/// An S3 bucket that holds as many agents as one likes: every definition is the same, and the listing is counted out.
func serveBucket(agents: Int) async throws {
  var router = Router()
  router.on("GET", "/bench") { request in
    let token = request.query.first { $0.name == "continuation-token" }?.value
    let first = token.flatMap { Int($0) } ?? 0
    let end = min(first + 1000, agents)
    var page = "<ListBucketResult><IsTruncated>\(end < agents)</IsTruncated>"
    if end < agents { page += "<NextContinuationToken>\(end)</NextContinuationToken>" }
    for index in first..<end {
      page += "<CommonPrefixes><Prefix>agents/\(agentID(index))/</Prefix></CommonPrefixes>"
    }
    return ServerResponse(
      status: 200, headers: [("content-type", "application/xml")], body: Array((page + "</ListBucketResult>").utf8))
  }
  router.on("GET", "/bench/agents/:id/:file") { request in
    guard request.parameters["file"] == "config.yaml", let id = request.parameters["id"] else {
      return ServerResponse(status: 404)
    }
    let text = """
      name: \(id)
      type: custom
      brain: { model: none }
      behavior: { discovery: { enabled: true, frequency: staleness } }
      capabilities: { grants: [hub:read] }
      executor: { command: /bin/true }

      """
    return ServerResponse(status: 200, headers: [("content-type", "text/yaml")], body: Array(text.utf8))
  }
  let server = try await HTTPServer.start(at: .tcp(host: "127.0.0.1", port: 0)) { [router] request in
    try await router.respond(to: request)
  }
  print(server.port)
  fflush(nil)
  while true { try await Task.sleep(for: .seconds(3600)) }
}
