import Redis
import TestSupport
import Testing
import Work

@Suite struct LogRewriteTests {
  /// A claim is torn by a loss of power; then Redis is killed once more.
  /// - Returns: which agents' items are left.
  static func left(recovering: Bool) async throws -> Set<String> {
    let bench = try await Bench(server: ["--appendfsync", "always"])
    for agent in ["a", "b", "c"] { try await bench.push(#"{"agent_id":"\#(agent)"}"#) }
    _ = try await bench.lease()
    try bench.server.tear()
    try await bench.server.start()
    // What was torn was never said yes to.
    #expect(try await bench.length() == 3)
    if recovering {
      try await bench.queue.recover()
      while try await bench.plain.command(["INFO", "persistence"]).string?.contains("aof_rewrite_in_progress:0") != true
      {}
    }
    _ = try await bench.plain.command(["EVAL", "redis.call('SET', 'later', '1'); redis.call('SET', 'too', '1')", "0"])
    bench.server.kill9()
    try await bench.server.start()
    #expect(try await bench.plain.command(["GET", "later"]).string == "1")
    var agents: Set<String> = []
    while case .claimed(let lease) = try await bench.claim() { agents.insert(lease.item.agentID) }
    return agents
  }

  @Test func aTornTransactionIsNotAppliedAtTheSecondStart() async throws {
    #expect(try await Self.left(recovering: true) == ["a", "b", "c"])
    // The control. Where this fails the server has learnt it, and LogRewrite.swift may go.
    #expect(try await Self.left(recovering: false) != ["a", "b", "c"])
  }

  @Test func eachStartIsFoundOnce() async throws {
    let bench = try await Bench()
    func rewrites() async throws -> Int {
      let lines = try await bench.plain.command(["INFO", "commandstats"]).string?.split(separator: "\r\n") ?? []
      return lines.count { $0.hasPrefix("cmdstat_bgrewriteaof:calls=1,") }
    }
    try await bench.queue.recover()
    try await bench.queue.recover()
    #expect(try await rewrites() == 1)
    #expect(bench.queue.takeRewriteRefusal() == nil)
    bench.server.kill9()
    try await bench.server.start()
    try await bench.queue.recover()
    #expect(try await rewrites() == 1)
  }

  @Test func whereThereIsNoFileNoneIsWritten() async throws {
    let bench = try await Bench(server: ["--appendonly", "no"])
    try await bench.queue.recover()
    #expect(try await bench.plain.command(["INFO", "commandstats"]).string?.contains("bgrewriteaof") == false)
  }

  @Test func whereItIsForbiddenThatIsToldOnceAndAllElseGoesOn() async throws {
    let bench = try await Bench()
    _ = try await bench.plain.command(["ACL", "SETUSER", "default", "-bgrewriteaof"])
    try await bench.push(#"{"agent_id":"a"}"#)
    try await bench.queue.recover()
    #expect(bench.queue.takeRewriteRefusal()?.kind == .refused(code: "NOPERM"))
    #expect(bench.queue.takeRewriteRefusal() == nil)
    #expect(try await bench.lease().item.agentID == "a")
  }
}
