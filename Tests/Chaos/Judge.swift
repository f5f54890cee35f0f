/// Who was to answer what.
public struct Question: Sendable, Hashable, Comparable, CustomStringConvertible {
  /// The post.
  public var post: String
  /// The agent.
  public var agent: String
  /// Asks an agent about a post.
  public init(post: String, agent: String) { (self.post, self.agent) = (post, agent) }
  /// For messages.
  public var description: String { "\(agent) on \(post)" }
  /// By post, then by agent.
  public static func < (a: Question, b: Question) -> Bool { (a.post, a.agent) < (b.post, b.agent) }
}

/// Judges by two logs: what an outside producer says it asked, and what the Hub's journal says was answered. Pure.
public struct Judge: Sendable {
  /// What is known of one question.
  public struct Entry: Sendable {
    /// How it was asked.
    public var way: String
    /// When, in seconds of any clock.
    public var asked: Double
    /// Comments by the agent below the post, with their ids.
    public var answers: [(id: String, seen: Double)] = []
    /// Whether it is not known if the question was heard: none or one answer are right.
    public var isUncertain = false
  }
  /// By question.
  public private(set) var entries: [Question: Entry] = [:]
  /// Comments that nobody asked for.
  public private(set) var unasked: [String] = []
  /// Questions without an answer that must have one.
  public private(set) var waiting: Set<Question> = []

  private var doubts = 0

  /// Nothing asked, nothing answered.
  public init() {}

  /// A question was asked.
  public mutating func ask(_ question: Question, way: String, at time: Double) {
    entries[question] = Entry(way: way, asked: time)
    waiting.insert(question)
  }

  /// Whether it was heard is not known: an error came instead of a reply.
  public mutating func doubt(_ question: Question) {
    guard entries[question]?.isUncertain == false else { return }
    entries[question]?.isUncertain = true
    doubts += 1
    waiting.remove(question)
  }

  /// The Hub has a comment.
  public mutating func answer(_ question: Question, id: String, at time: Double) {
    guard entries[question] != nil else {
      unasked.append("\(id) (\(question))")
      return
    }
    entries[question]?.answers.append((id, time))
    waiting.remove(question)
  }

  /// Questions that count.
  public var items: Int { entries.count - doubts }
  /// Without an answer.
  public var lost: [Question] { waiting.sorted() }
  /// With more than one, and their comments.
  public var twice: [(question: Question, ids: [String])] {
    entries.filter { $0.value.answers.count > 1 }.map { ($0.key, $0.value.answers.map(\.id)) }
      .sorted { $0.question < $1.question }
  }

  /// From question to answer in seconds, ascending.
  /// - Parameter way: only of those that were asked so.
  public func latencies(_ way: String? = nil) -> [Double] {
    entries.values.filter { way == nil || $0.way == way }
      .compactMap { entry in entry.answers.first.map { $0.seen - entry.asked } }.sorted()
  }
}
