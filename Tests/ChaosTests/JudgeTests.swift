import Parts
import Testing

@testable import Chaos

@Suite struct JudgeTests {
  private let one = Question(post: "p-1", agent: "a")
  private let two = Question(post: "p-1", agent: "b")

  @Test func countsWhatIsLostAndWhatIsTwice() {
    var judge = Judge()
    judge.ask(one, way: "mention", at: 1)
    judge.ask(two, way: "mention", at: 1)
    #expect(judge.lost == [one, two])
    judge.answer(one, id: "c-2", at: 3)
    judge.answer(one, id: "c-3", at: 4)
    #expect(judge.lost == [two])
    #expect(judge.twice.map(\.ids) == [["c-2", "c-3"]])
    #expect(judge.latencies() == [2])
    judge.answer(Question(post: "p-9", agent: "a"), id: "c-4", at: 5)
    #expect(judge.unasked == ["c-4 (a on p-9)"])
  }

  /// Whoever got an error instead of a reply doesn't know; one answer is right, two are not.
  @Test func aDoubtfulQuestionMayHaveNoAnswer() {
    var judge = Judge()
    judge.ask(one, way: "item without id", at: 1)
    judge.doubt(one)
    #expect(judge.lost.isEmpty && judge.items == 0)
    judge.answer(one, id: "c-2", at: 3)
    #expect(judge.twice.isEmpty)
    judge.answer(one, id: "c-3", at: 3)
    #expect(judge.twice.count == 1)
  }

  @Test func findsAgentsThatRanTwiceAtOnce() {
    func stay(_ agent: String, _ start: Int64, _ end: Int64) -> Exclusion.Stay {
      .init(agent: agent, activation: "\(start)", host: "h", start: start, end: end)
    }
    #expect(Exclusion.overlaps([stay("a", 0, 10), stay("a", 10, 20), stay("b", 5, 15)]).isEmpty)
    #expect(Exclusion.overlaps([stay("a", 0, 10), stay("a", 9, 20)]).count == 1)
    // The long one hides behind a short one.
    #expect(Exclusion.overlaps([stay("a", 0, 100), stay("a", 5, 6), stay("a", 50, 60)]).count == 2)
    #expect(Exclusion.most([stay("a", 0, 10), stay("b", 5, 15), stay("c", 10, 20)]) == 2)
  }

  @Test func theSameSeedGivesTheSameChance() {
    var (a, b, c) = (SeededChance(seed: 1), SeededChance(seed: 1), SeededChance(seed: 2))
    let first = a.uuid()
    #expect(first == b.uuid() && first != c.uuid())
    #expect(first.count == 36)
  }

  @Test func theProxyTakesKeysOffAndNothingElse() {
    let request = Array(
      "POST /x HTTP/1.1\r\nHost: h\r\nIdempotency-Key: k\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\nhi".utf8)
    #expect(FaultProxy.isWhole(request))
    #expect(!FaultProxy.isWhole(Array(request.dropLast())))
    let bare = String(decoding: FaultProxy.rewritten(request, stripsKeys: true), as: UTF8.self)
    #expect(bare == "POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi")
    #expect(
      String(decoding: FaultProxy.rewritten(request, stripsKeys: false), as: UTF8.self).contains("Idempotency-Key: k"))
  }
}
