import JSONText
import Testing

@testable import AgentLoop

/// A task and so many exchanges with results of so many bytes.
private func talk(_ exchanges: Int, bytes: Int) -> [Turn] {
  [Turn(.user, [.text("The task.")])]
    + (0..<exchanges).flatMap { number in
      let call = ToolCall(id: "c\(number)", name: "Read", input: "{\"file_path\":\"f\(number)\"}")
      return [
        Turn(.assistant, [.text("Step \(number)."), .call(call)]),
        Turn(.user, [.result(ToolResult(call, "result \(number) " + String(repeating: "x", count: bytes)))]),
      ]
    }
}

private func results(_ turns: [Turn]) -> [ToolResult] {
  turns.flatMap(\.parts).compactMap { part in if case .result(let result) = part { result } else { nil } }
}

/// Providers refuse a call without its result and a result without its call.
private func isWhole(_ turns: [Turn]) -> Bool {
  guard turns.first?.role == .user, turns.last?.role == .user else { return false }
  return zip(turns, turns.dropFirst()).allSatisfy { turn, next in
    turn.role != next.role && turn.calls.map(\.id) == results(turn.role == .assistant ? [next] : []).map(\.callID)
      || (turn.role == .user && next.role == .assistant)
  }
}

@Suite struct CompactionTests {
  @Test func `What fits stays as it is`() {
    let turns = talk(3, bytes: 1000)
    #expect(Compaction.fit(turns, bytes: 100_000) == turns)
  }

  @Test func `The oldest results go first, the newest stays whole`() {
    let turns = talk(5, bytes: 1000)
    let shorter = Compaction.fit(turns, bytes: 5500)
    #expect(Compaction.size(shorter) <= 5500 && isWhole(shorter) && shorter.count == turns.count)
    let texts = results(shorter).map(\.text)
    #expect(texts[0].hasPrefix("[taken out to save room: 1009 bytes, beginning \"result 0 xxx"))
    #expect(texts[4] == results(turns)[4].text)
    // The same talk always becomes the same one.
    #expect(Compaction.fit(turns, bytes: 5500) == shorter)
  }

  @Test func `Then whole exchanges become lines below the task`() {
    let shorter = Compaction.fit(talk(40, bytes: 400), bytes: 6000)
    #expect(Compaction.size(shorter) <= 6000 && isWhole(shorter))
    #expect(shorter[0].parts.first == .text("The task."))
    #expect(shorter[0].text.contains("# What you did so far"))
    #expect(shorter[0].text.contains("earlier lines left out)\n"))
    #expect(shorter[0].text.contains("- you said: Step 32.\n- Read {\"file_path\":\"f32\"} → "), "\(shorter[0].text)")
    #expect(results(shorter).last?.text.hasPrefix("result 39") == true)
  }

  @Test func `A second shortening adds to the first one's lines`() throws {
    var turns = Compaction.fit(talk(40, bytes: 400), bytes: 6000)
    let call = ToolCall(id: "new", name: "Read", input: "{}")
    turns += [
      Turn(.assistant, [.call(call)]), Turn(.user, [.result(ToolResult(call, String(repeating: "y", count: 3000)))]),
    ]
    let again = Compaction.fit(turns, bytes: 6000)
    #expect(Compaction.size(again) <= 6000 && isWhole(again))
    #expect(again[0].parts.count == 2)
    #expect(again[0].text.components("# What you did so far") == 2)
  }

  @Test func `A result that is too long by itself loses its middle`() {
    let turns = talk(1, bytes: 50_000)
    let shorter = Compaction.fit(turns, bytes: 5000)
    #expect(Compaction.size(shorter) <= 5200 && isWhole(shorter))
    #expect(results(shorter)[0].text.contains("bytes left out"))
  }

  @Test func `Texts are cut between characters`() {
    let text = String(repeating: "é", count: 1000)
    let short = Shortened.middle(text, limit: 501)
    #expect(!short.contains("\u{FFFD}") && short.utf8.count < 560 && short.contains("bytes left out"))
    #expect(Shortened.middle("short", limit: 100) == "short")
  }
}

extension String {
  /// How many parts a text has between the occurrences of another.
  fileprivate func components(_ separator: String) -> Int {
    var (count, rest) = (1, self[...])
    while let range = rest.firstRange(of: separator) {
      count += 1
      rest = rest[range.upperBound...]
    }
    return count
  }
}
