import Agents
import Glibc

/// Which notes go into a prompt. Pure.
enum Retrieval {
  /// `recent`: the newest. `keyword`: those that share most words with what the activation is about. `embedding_search`
  /// would need a model of its own; it is done as `keyword`.
  static func choose(_ notes: [Note], by memory: AgentDefinition.Memory, about texts: [String]) -> [Note] {
    let newest = notes.sorted { ($1.modified, $0.name) < ($0.modified, $1.name) }
    let chosen =
      switch memory.strategy {
      case .recent: newest
      case .keyword, .embeddingSearch: relevant(newest, about: texts, threshold: memory.relevanceThreshold)
      }
    return fitting(Array(chosen.prefix(memory.maxContextItems)))
  }

  /// A note's relevance is the weight of the words that it shares with `texts`, in parts of the best note's: the best has 1.
  /// A word weighs the more, the fewer notes have it. Of notes that are equally relevant the newer comes first.
  static func relevant(_ notes: [Note], about texts: [String], threshold: Double) -> [Note] {
    let asked = texts.reduce(into: Set<String>()) { $0.formUnion(words($1)) }
    let shared = notes.map { words($0.name + " " + $0.text).intersection(asked) }
    var holders: [String: Int] = [:]
    for word in shared.joined() { holders[word, default: 0] += 1 }
    let weights = shared.map { words in
      words.reduce(0.0) { $0 + log(1 + Double(notes.count) / Double(holders[$1] ?? 1)) }
    }
    guard let best = weights.max(), best > 0 else { return [] }
    return weights.indices.filter { weights[$0] > 0 && weights[$0] / best >= threshold }
      .sorted { (weights[$1], $0) < (weights[$0], $1) }
      .map { notes[$0] }
  }

  /// Runs of letters and digits, in lower case, of three characters or more, without those that every text has.
  static func words(_ text: String) -> Set<String> {
    Set(
      text.lowercased().split { !$0.isLetter && !$0.isNumber }.filter { $0.count >= 3 }.map(String.init)
    ).subtracting(common)
  }

  private static let common: Set<String> = [
    "about", "and", "are", "but", "can", "did", "does", "for", "from", "had", "has", "have", "how", "its", "not", "our",
    "that", "the", "their", "them", "then", "there", "they", "this", "was", "were", "what", "when", "where", "which",
    "who", "why", "will", "with", "would", "you", "your",
  ]

  /// As many as there is room for; of a long one its beginning.
  private static func fitting(_ notes: [Note]) -> [Note] {
    var room = Memory.promptLimit
    return notes.compactMap { note in
      var note = note
      if note.text.count > Memory.noteLimit { note.text = note.text.prefix(Memory.noteLimit) + "…" }
      room -= note.text.count
      return room >= 0 ? note : nil
    }
  }
}
