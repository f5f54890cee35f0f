import Testing

@testable import Failover

/// A log as MONITOR tells it, a line a tenth of a second.
private struct Log {
  private(set) var ledger = Ledger()
  private var count = 0

  mutating func line(_ source: String, _ words: [String]) {
    count += 1
    let text = "\(1_764_000_000 + Double(count) / 10) [0 \(source)] " + words.map { "\"\($0)\"" }.joined(separator: " ")
    guard let line = MonitorLine(text) else {
      Issue.record("'\(text)' can't be read")
      return
    }
    ledger.read(line, at: Double(count) / 10)
  }

  /// So many tenths of a second in which nothing is said; without a number the lock runs out.
  mutating func wait(_ tenths: Int = 110) { count += tenths }

  mutating func call(_ client: String, _ arguments: [String], does commands: [[String]]) {
    line(client, ["EVALSHA", "0a1b", "0"] + arguments)
    for command in commands { line("lua", command) }
  }

  mutating func lead(_ client: String, _ epoch: Int, _ nonce: String) {
    call(
      client, ["campaign", nonce, "10000"],
      does: [
        ["DEL", "botburrow:leader:vacant"], ["EXISTS", "coordinator:leader"], ["INCR", "botburrow:epoch"],
        ["SET", "coordinator:leader", "\(epoch):\(nonce)", "PX", "10000"],
      ])
  }
  mutating func renew(_ client: String, _ fence: String, isGranted: Bool = true) {
    call(
      client, ["renew", fence, "10000"],
      does: [["GET", "coordinator:leader"]] + (isGranted ? [["PEXPIRE", "coordinator:leader", "10000"]] : []))
  }
  mutating func enqueue(_ client: String, _ fence: String, isGranted: Bool = true) {
    call(
      client, [fence, "notification", "id", "agent"],
      does: [["GET", "coordinator:leader"]]
        + (isGranted
          ? [["ZSCORE", "botburrow:leases", "id"], ["LPUSH", "runner:notification:work", "{}"]] : []))
  }
  mutating func resign(_ client: String, _ fence: String) {
    call(
      client, ["resign", fence, "10000"],
      does: [
        ["GET", "coordinator:leader"], ["DEL", "coordinator:leader"], ["LPUSH", "botburrow:leader:vacant", fence],
      ])
  }
  func findings() -> [String] {
    var copy = ledger
    copy.finish()
    return copy.findings
  }
  func terms() -> [Ledger.Term] {
    var copy = ledger
    copy.finish()
    return copy.terms
  }
}

@Suite struct LedgerTests {
  private let a = "127.0.0.1:1001"
  private let b = "127.0.0.1:1002"

  /// One that leads, is stopped, is followed, and finds that out when it wakes.
  private func stopped() -> Log {
    var log = Log()
    log.lead(a, 1, "one")
    log.enqueue(a, "1:one")
    log.wait()
    log.lead(b, 2, "two")
    log.enqueue(b, "2:two")
    return log
  }

  @Test func inOrderNothingIsFound() throws {
    var log = stopped()
    log.enqueue(a, "1:one", isGranted: false)
    log.renew(a, "1:one", isGranted: false)
    log.renew(b, "2:two")
    log.enqueue(b, "2:two")
    log.resign(b, "2:two")
    log.lead(a, 3, "one")
    log.enqueue(a, "3:one")
    #expect(log.findings() == [])
    let terms = log.terms()
    #expect(terms.map(\.epoch) == [1, 2, 3])
    #expect(terms.map(\.writes) == [1, 2, 1])
    #expect(terms.map(\.refused) == [2, 0, 0])
    #expect(terms.map(\.refusedWrites) == [1, 0, 0])
    let (taken, first) = (try #require(terms.last).taken, try #require(terms.last?.firstWrite))
    #expect(first > taken)
    #expect(log.ledger.staleWrites == 0)
    #expect(log.ledger.holder == "3:one")
  }

  @Test func whatALeaderReadsIsNoWrite() {
    var log = Log()
    log.lead(a, 1, "one")
    log.call(
      a, ["1:one", "10", "60000"], does: [["GET", "coordinator:leader"], ["ZCOUNT", "botburrow:stale", "0", "1"]])
    log.renew(a, "1:one")
    #expect(log.terms().map(\.writes) == [0])
    #expect(log.terms().first?.firstWrite == nil)
    // What anybody may do is not judged.
    log.call(b, ["5", "100"], does: [["ZREM", "botburrow:leases", "id"]])
    #expect(log.terms().map(\.writes) == [0])
    #expect(log.findings() == [])
  }

  @Test func aWriteOfAStaleEpochIsFound() {
    var log = stopped()
    log.enqueue(a, "1:one")
    #expect(log.findings() == ["1:one wrote (lpush) while 2:two held the lock"])
    #expect(log.ledger.staleWrites == 1)
  }

  @Test func aWriteAfterTheLockWasGivenUpIsFound() {
    var log = Log()
    log.lead(a, 1, "one")
    log.resign(a, "1:one")
    #expect(log.findings() == [])
    #expect(log.ledger.holder == nil)
    log.enqueue(a, "1:one")
    #expect(log.findings() == ["1:one wrote (lpush) while nobody held the lock"])
  }

  @Test func aWriteAfterTheLockRanOutIsFoundThoughNobodyFollowed() {
    var log = Log()
    log.lead(a, 1, "one")
    log.enqueue(a, "1:one")
    log.wait()
    var refused = log
    log.enqueue(a, "1:one")
    #expect(log.ledger.staleWrites == 1)
    #expect(log.findings().count == 1)
    #expect(log.findings().first?.hasPrefix("1:one wrote (lpush) 1.") == true, "\(log.findings())")
    #expect(log.findings().first?.hasSuffix(" s after its lock had run out") == true)
    // The controls: refused it is as it should be, and so is a write of one that renewed in time.
    refused.enqueue(a, "1:one", isGranted: false)
    #expect(refused.findings() == [])
    var renewed = Log()
    renewed.lead(a, 1, "one")
    renewed.wait(60)
    renewed.renew(a, "1:one")
    renewed.wait(60)
    renewed.enqueue(a, "1:one")
    #expect(renewed.findings() == [])
    #expect(renewed.ledger.staleWrites == 0)
  }

  @Test func anEpochThatIsGivenTwiceIsFound() {
    var log = Log()
    log.lead(a, 4, "one")
    log.wait()
    log.lead(b, 4, "two")
    #expect(log.findings() == ["epoch 4 was given after 4"])
    log.wait()
    log.lead(b, 3, "two")
    #expect(log.findings().last == "epoch 3 was given after 4")
  }

  @Test func aLockThatIsTakenBeforeItRanOutIsFound() {
    var log = Log()
    log.lead(a, 1, "one")
    log.lead(b, 2, "two")
    #expect(log.findings().count == 1)
    #expect(log.findings().first?.hasPrefix("2:two took the lock") == true)
  }

  @Test func twoThatWriteInOneEpochAreFound() {
    var log = Log()
    log.lead(a, 1, "one")
    log.enqueue(a, "1:one")
    // A connection that was made again only follows.
    log.enqueue(b, "1:one")
    #expect(log.findings() == [])
    log.enqueue(a, "1:one")
    #expect(log.findings() == ["two connections wrote in epoch 1 by turns"])
  }

  @Test func oneThatWritesUnderAnothersNameIsFound() {
    var log = Log()
    log.lead(a, 1, "one")
    log.call(
      b, ["campaign", "two", "10000"], does: [["DEL", "botburrow:leader:vacant"], ["EXISTS", "coordinator:leader"]])
    log.enqueue(b, "1:one")
    #expect(log.findings() == [])
    log.call(
      b, ["campaign", "two", "10000"], does: [["DEL", "botburrow:leader:vacant"], ["EXISTS", "coordinator:leader"]])
    #expect(log.findings() == ["127.0.0.1:1002 shows the nonces of two coordinators by turns"])
  }

  @Test func aLockThatSomebodyElseChangesIsFound() {
    var log = stopped()
    log.renew(a, "1:one")
    log.resign(a, "1:one")
    log.line(a, ["DEL", "coordinator:leader"])
    log.call(b, ["campaign", "two", "10000"], does: [["SET", "coordinator:leader", "3:else", "PX", "10000"]])
    let findings = log.findings()
    #expect(
      findings.prefix(3) == [
        "the lock of 2:two was changed by pexpire for 1:one", "the lock of 2:two was changed by del for 1:one",
        "127.0.0.1:1001 changed the lock by del, and no script",
      ])
    #expect(findings.contains("the lock was set to 3:else by somebody else than who asked for it"))
    // The control: looking changes nothing.
    var looked = stopped()
    looked.line(a, ["GET", "coordinator:leader"])
    #expect(looked.findings() == [])
  }
}

@Suite struct MonitorLineTests {
  @Test func commandsAndWhatScriptsDoAreRead() throws {
    let line = try #require(
      MonitorLine(#"1764551460.250000 [0 127.0.0.1:60866] "SET" "a b" "\"x\"\\\r\n\t\xc3\xa9""#))
    #expect(line.time == 1_764_551_460.25)
    #expect(line.client == "127.0.0.1:60866")
    #expect(line.words == ["SET", "a b", "\"x\"\\\r\n\té"])
    let script = try #require(MonitorLine(#"1764551460.250000 [0 lua] "get" "coordinator:leader""#))
    #expect(script.client == nil)
    #expect(script.words == ["get", "coordinator:leader"])
    #expect(MonitorLine(#"1764551460.25 [0 unix:/a/b] "PING" """#)?.words == ["PING", ""])
  }

  @Test(arguments: [
    "", "OK", "1764551460.25 [0 lua]", #"x [0 lua] "get""#, #"1764551460.25 [lua] "get""#,
    #"1764551460.25 [0 lua] "get"#, #"1764551460.25 [0 lua] get"#, #"1764551460.25 [0 lua] "\x4""#,
  ])
  func whatIsNoLineIsRefused(_ text: String) { #expect(MonitorLine(text) == nil) }
}

@Suite struct FailoverReportTests {
  private func report(_ blow: Blow, _ seconds: [Double]) -> FailoverReport {
    var options = FailoverOptions(programs: "")
    options.counts = [blow: seconds.count]
    var report = FailoverReport(options)
    report.trials = seconds.map { Trial(blow: blow, taken: $0 / 2, written: $0, triedToWrite: true) }
    return report
  }

  @Test func boundsAreJudged() {
    #expect(report(.killed, [9, 12.9]).isGood)
    #expect(report(.killed, [9, 13.1]).missed == ["killed (SIGKILL): p99 is 13.1 s, above 13 s"])
    #expect(report(.ended, [0.02, 0.99]).isGood)
    #expect(report(.ended, [0.02, 1.01]).missed == ["ended in order (SIGTERM): p99 is 1.01 s, above 1 s"])
    #expect(
      report(.ended, [0.02, 0.04]).verdict
        == "failover: kills 0 p99 -, hand-overs 2 p99 0.04 s, stops 0, writes in a stale epoch 0")
  }

  @Test func whatDidNotHappenIsMissed() {
    var short = report(.killed, [9, 9])
    short.trials.removeLast()
    #expect(short.missed == ["killed (SIGKILL): 1 of 2 came to their end"])
    // Of a few all may be stopped a moment too late to be refused; of ten, hardly.
    for (count, isGood) in [(9, true), (10, false)] {
      var late = report(.stopped, Array(repeating: 11, count: count))
      for index in late.trials.indices { late.trials[index].triedToWrite = false }
      #expect(late.isGood == isGood)
      late.trials[0].triedToWrite = true
      #expect(late.isGood)
    }
    var stopped = report(.stopped, [11])
    #expect(stopped.isGood)
    stopped.troubles = ["system 1: the Hub hung up"]
    #expect(!stopped.isGood)
  }

  @Test func whatTheLedgersFoundIsTold() {
    var ledger = Ledger()
    for text in [
      #"1764551460.1 [0 127.0.0.1:1] "EVALSHA" "0a" "0" "1:one" "notification""#,
      #"1764551460.1 [0 lua] "LPUSH" "runner:notification:work" "{}""#,
    ] { if let line = MonitorLine(text) { ledger.read(line, at: 1) } }
    var report = report(.killed, [9])
    report.add(ledger, of: "system 2")
    #expect(report.missed == ["system 2: 1:one wrote (lpush) while nobody held the lock"])
    #expect(report.verdict.hasSuffix("writes in a stale epoch 1"))
  }
}
