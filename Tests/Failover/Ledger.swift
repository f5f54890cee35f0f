/// Who led, and wrote as leader, by what Redis carried out: judged line by line. Pure.
///
/// It knows the lock's key, that its value is `epoch:nonce`, and that a leader's scripts get this as one of their first two
/// arguments. Whether a script wrote is told by the commands that it gave, not by what it or its caller says.
struct Ledger: Sendable {
  /// One time that somebody held the lock. Times are those given to `read`.
  struct Term: Sendable {
    /// `epoch:nonce`
    var fence: String
    var epoch: Int
    /// When the lock was taken.
    var taken: Double
    /// When the first script of this epoch changed something besides the lock.
    var firstWrite: Double?
    /// Scripts that did.
    var writes = 0
    /// Calls that showed this fence when its term was over, and changed nothing.
    var refused = 0
    /// Those of them that would have written something besides the lock.
    var refusedWrites = 0
    fileprivate var clients = Turns()
  }

  private(set) var terms: [Term] = []
  /// Scripts that wrote with a fence that did not hold the lock, or whose lock had run out.
  private(set) var staleWrites = 0
  /// Everything that must not be, those writes too.
  private(set) var findings: [String] = []

  private var call: Call?
  /// Who holds the lock, as far as nobody has given it up; it may have run out.
  private(set) var holder: String?
  /// By the server's clock: until when it is held, if nobody gives it up.
  private var heldUntil = 0.0
  private var nonces: [String: Turns] = [:]

  private static let lock = "coordinator:leader"
  /// Wakes those who wait for the lock.
  private static let bell = "botburrow:leader:vacant"
  private static let reads: Set<String> = [
    "exists", "get", "hexists", "hget", "hgetall", "hlen", "hmget", "lindex", "llen", "lpos", "lrange", "pttl",
    "sismember", "smembers", "strlen", "time", "ttl", "type", "zcard", "zcount", "zmscore", "zrange", "zrangebyscore",
    "zscore",
  ]
  /// The lock expires by the time at which a script began, and lines tell when one was called or its command carried out: a little
  /// later.
  private static let slack = 0.25

  /// A script that runs.
  private struct Call {
    var client: String
    /// By the server's clock.
    var began: Double
    var arguments: [String]
    var fence: String?
    var hasChanged = false
    var hasWritten = false
  }

  /// Takes the next line.
  /// - Parameter time: when it was heard, in seconds of any clock.
  mutating func read(_ line: MonitorLine, at time: Double) {
    let command = line.words[0].lowercased()
    if let client = line.client {
      finish()
      if command == "eval" || command == "evalsha" {
        begin(client, line)
      } else if line.words.dropFirst().contains(Self.lock), !Self.reads.contains(command) {
        findings.append("\(client) changed the lock by \(command), and no script")
      }
      return
    }
    if call == nil { findings.append("a script that nobody called gave \(command)") }
    if Self.reads.contains(command) { return }
    call?.hasChanged = true
    if line.words.dropFirst().contains(Self.lock) {
      changeLock(command, line, time)
    } else if !line.words.dropFirst().contains(Self.bell), let fence = call?.fence, let client = call?.client {
      write(fence, client, command, time)
    }
  }

  /// Judges the call that is not over yet: at the end of the log.
  mutating func finish() {
    defer { call = nil }
    guard let call, let fence = call.fence, !call.hasChanged, fence != holder,
      let index = terms.lastIndex(where: { $0.fence == fence }), index < terms.count - 1
    else { return }
    terms[index].refused += 1
    if call.arguments.first == fence { terms[index].refusedWrites += 1 }
  }

  private mutating func begin(_ client: String, _ line: MonitorLine) {
    let words = line.words
    guard words.count >= 3, let keys = Int(words[2]), keys >= 0 else { return }
    let arguments = Array(words.dropFirst(3 + keys))
    let fence = arguments.prefix(2).first { Self.epoch($0) != nil }
    call = Call(client: client, began: line.time, arguments: arguments, fence: fence)
    let nonce =
      fence.map { String($0.split(separator: ":")[1]) } ?? (arguments.first == "campaign" ? arguments[1] : nil)
    if let nonce, !nonces[client, default: Turns()].take(nonce) {
      findings.append("\(client) shows the nonces of two coordinators by turns")
    }
  }

  /// Of `epoch:nonce`; nil for other text.
  private static func epoch(_ text: String) -> Int? {
    let parts = text.split(separator: ":", omittingEmptySubsequences: false)
    guard parts.count == 2, !parts[1].isEmpty, !parts[0].isEmpty, parts[0].utf8.allSatisfy({ (48...57).contains($0) })
    else { return nil }
    return Int(parts[0])
  }

  private mutating func changeLock(_ command: String, _ line: MonitorLine, _ time: Double) {
    switch (command, call?.fence) {
    case ("set", nil) where line.words.count == 5 && line.words[3].lowercased() == "px":
      take(line.words[2], for: Double(line.words[4]) ?? 0, line.time, time)
    case ("pexpire", let fence?) where fence == holder && line.words.count == 3:
      heldUntil = line.time + (Double(line.words[2]) ?? 0) / 1000
    case ("del", let fence?) where fence == holder: holder = nil
    default:
      findings.append("the lock of \(holder ?? "nobody") was changed by \(command) for \(call?.fence ?? "nobody")")
    }
  }

  private mutating func take(_ fence: String, for milliseconds: Double, _ moment: Double, _ time: Double) {
    guard let epoch = Self.epoch(fence) else {
      findings.append("the lock was set to '\(fence)', which is no epoch and nonce")
      return
    }
    if call?.arguments.first != "campaign" || fence != "\(epoch):\(call?.arguments.dropFirst().first ?? "")" {
      findings.append("the lock was set to \(fence) by somebody else than who asked for it")
    }
    if let last = terms.last, epoch <= last.epoch { findings.append("epoch \(epoch) was given after \(last.epoch)") }
    if let holder, moment + Self.slack < heldUntil {
      findings.append("\(fence) took the lock \(heldUntil - moment) s before that of \(holder) ran out")
    }
    holder = fence
    heldUntil = moment + milliseconds / 1000
    terms.append(Term(fence: fence, epoch: epoch, taken: time))
  }

  private static func text(_ seconds: Double) -> String { "\((seconds * 1000).rounded() / 1000)" }

  private mutating func write(_ fence: String, _ client: String, _ command: String, _ time: Double) {
    guard let began = call?.began, call?.hasWritten == false else { return }
    call?.hasWritten = true
    guard fence == holder, var term = terms.popLast() else {
      staleWrites += 1
      findings.append("\(fence) wrote (\(command)) while \(holder ?? "nobody") held the lock")
      return
    }
    if began > heldUntil + Self.slack {
      staleWrites += 1
      findings.append("\(fence) wrote (\(command)) \(Self.text(began - heldUntil)) s after its lock had run out")
    }
    term.writes += 1
    if term.firstWrite == nil { term.firstWrite = time }
    if !term.clients.take(client) { findings.append("two connections wrote in epoch \(term.epoch) by turns") }
    terms.append(term)
  }
}

/// Who had their turn: somebody who comes again after somebody else is one of two at the same time. Who comes once, after
/// another, only follows: a connection that was made again, or a port that has a new owner.
private struct Turns: Sendable {
  private var now: String?
  private var past: Set<String> = []

  /// False for one who had it before somebody else had.
  mutating func take(_ one: String) -> Bool {
    if now == one { return true }
    if let now { past.insert(now) }
    now = one
    return !past.contains(one)
  }
}
