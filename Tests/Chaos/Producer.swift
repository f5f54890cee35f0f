import HTTPClient
import JSON
import Parts
import Redis

/// Somebody outside who makes work: mentions by the Hub, items by `LPUSH`, the same once more, and nonsense. It remembers what
/// it asked (`Judge`).
@MainActor
final class Producer {
  private let stage: Stage
  private var chance: SeededChance
  private let client = HTTPClient(userAgent: "botburrow-chaos")
  /// Items to push a second time, when it is time.
  private var again: [(at: ContinuousClock.Instant, item: String)] = []
  /// What it asked, and what whoever reads the Hub's journal put to it.
  var judge = Judge()
  private(set) var counts: [String: Int] = [:]
  /// What was pushed for the peer.
  private(set) var peerItems: Set<String> = []

  init(_ stage: Stage, seed: UInt64) {
    self.stage = stage
    chance = SeededChance(seed: seed)
  }

  private func count(_ what: String) { counts[what, default: 0] += 1 }

  /// Makes the next piece of work.
  func next(now: () -> Double) async throws {
    switch chance.one(of: [("mention", 55), ("item", 30), ("bare", 10), ("peer", 5)]) {
    case "mention": try await mention(now)
    case "item": try await item(now, withID: true)
    case "bare": try await item(now, withID: false)
    default: await peerItem()
    }
    if chance.share() < 0.03 { await poison() }
    let due = again.filter { $0.at <= .now }
    again.removeAll { $0.at <= .now }
    for copy in due {
      count("pushed again")
      _ = try? await stage.redis(["LPUSH", RedisArgument(Stage.list), RedisArgument(copy.item)])
    }
  }

  private func agent() -> String { stage.agents.randomElement(using: &chance) ?? "" }

  private func post(_ text: String) async throws -> String {
    let body: JSONValue = ["agent_id": "producer", "content": .string(text)]
    let answer = try await client.send(
      HTTPRequest(
        method: "POST", url: "\(stage.hubURL)/api/v1/posts",
        headers: [("Content-Type", "application/json"), ("Authorization", "Bearer \(Stage.key)")],
        body: try JSON.encode(body)))
    guard answer.status == 201, let id = try JSONValue(parsing: answer.body)["id"]?.string else {
      throw ChaosError("the Hub refuses a post of the producer: \(answer.status)")
    }
    return id
  }

  private func mention(_ now: () -> Double) async throws {
    let agents = Set((0..<(chance.share() < 0.2 ? 2 : 1)).map { _ in agent() }).sorted()
    let time = now()
    let post = try await post(agents.map { "@\($0)" }.joined(separator: " ") + " what do you think?")
    for agent in agents {
      judge.ask(Question(post: post, agent: agent), way: "mention", at: time)
      count("mentions")
    }
  }

  /// Some notifications are queued by somebody else as well, under an id of their own.
  func heard(notification: String, post: String, agent: String) async {
    guard chance.share() < 0.1 else { return }
    count("notifications queued twice")
    _ = try? await push([
      "agent_id": .string(agent), "post_id": .string(post), "activation_id": .string(chance.uuid()),
      "notification_ids": [.string(notification)],
    ])
  }

  private func item(_ now: () -> Double, withID: Bool) async throws {
    let agent = agent()
    let time = now()
    let post = try await post("for one of you")
    var fields: [String: JSONValue] = ["agent_id": .string(agent), "post_id": .string(post)]
    if withID { fields["activation_id"] = .string(chance.uuid()) }
    let question = Question(post: post, agent: agent)
    judge.ask(question, way: withID ? "item" : "item without id", at: time)
    count(withID ? "items" : "items without id")
    do {
      let text = try await push(.object(fields), isRepeatable: withID)
      if withID, chance.share() < 0.25 { again.append((.now + .seconds(chance.share() * 20), text)) }
    } catch {
      judge.doubt(question)
      count("in doubt")
    }
  }

  /// Where an id makes it harmless, it is pushed until it is heard to have arrived.
  @discardableResult
  private func push(_ item: JSONValue, isRepeatable: Bool = true) async throws -> String {
    let text = try JSON.text(item)
    var tries = 0
    while true {
      do {
        _ = try await stage.redis(["LPUSH", RedisArgument(Stage.list), RedisArgument(text)])
        return text
      } catch {
        tries += 1
        // One that can't be connected to has taken nothing.
        let took = error.kind != .unreachable
        if took && !isRepeatable || tries > 100 { throw error }
        try await Task.sleep(for: .milliseconds(100))
      }
    }
  }

  private func peerItem() async {
    let text = "peer-\(chance.uuid())"
    count("items of the peer")
    do {
      _ = try await stage.redis(["LPUSH", RedisArgument(Stage.peerList), RedisArgument(text)])
      peerItems.insert(text)
    } catch {
      // It may have arrived all the same, and then the peer takes more than is asked of it.
      count("items of the peer in doubt")
    }
  }

  private static let nonsense: [[UInt8]] = [
    Array("not JSON".utf8), [], [0xff, 0xfe, 0, 1], Array("{}".utf8), Array(#"{"agent_id":7}"#.utf8),
    Array(#"{"agent_id":"../../etc"}"#.utf8),
    Array(#"{"agent_id":"plain-0","notification_ids":{"a":1}}"#.utf8),
    [UInt8](repeating: UInt8(ascii: "["), count: 5000),
    Array(#"{"agent_id":"plain-0","attempt":-1}"#.utf8),
    Array(#"{"agent_id":"plain-0","created_at":[]}"#.utf8), Array(#"[{"agent_id":"plain-0"}]"#.utf8),
    Array(#"{"agent_id":"plain-0","activation_id":"\#u{0007}"}"#.utf8) + [0xc3],
  ]

  private func poison() async {
    // What an agent fails at, or an agent that nobody knows, is another one each time: what waits for one would become one letter, and
    // after ten failures it would rest for longer than we wait.
    let number = (counts["poison"] ?? 0) + (counts["poison in doubt"] ?? 0)
    let once = [
      #"{"agent_id":"nobody-knows-me-\#(number)","post_id":"p-1"}"#,
      #"{"agent_id":"\#(agent())","post_id":"no-such-post-\#(number)"}"#,
    ]
    let bytes = (Self.nonsense + once.map { Array($0.utf8) }).randomElement(using: &chance) ?? []
    do {
      _ = try await stage.redis(["LPUSH", RedisArgument(Stage.list), RedisArgument(bytes)])
      count("poison")
    } catch { count("poison in doubt") }
  }
}

/// A consumer that knows nothing of us: plain `BRPOP`.
actor Peer {
  private(set) var taken: [String: Int] = [:]
  private let connection: RedisConnection

  init(_ url: RedisURL) { connection = RedisConnection(url) }

  func run() async {
    while !Task.isCancelled {
      do throws(RedisError) {
        let reply = try await connection.blockingCommand(
          ["BRPOP", RedisArgument(Stage.peerList), "2"], wait: .seconds(2))
        if let item = reply.array?.last?.string { taken[item, default: 0] += 1 }
      } catch {
        do { try await Task.sleep(for: .milliseconds(50)) } catch { break }
      }
    }
    connection.close()
  }
}
