import Parts
import Testing

@Suite struct PercentileTests {
  @Test func aShareIsTheNearestRank() {
    let hundred = (1...100).map(Double.init)
    #expect(percentile(0.5, of: hundred) == 50)
    #expect(percentile(0.99, of: hundred) == 99)
    #expect(percentile(1, of: hundred) == 100)
    #expect(percentile(0, of: hundred) == 1)
    // Fewer than a hundred have no value that a hundredth lies above but the last.
    #expect(percentile(0.99, of: [1, 2, 3]) == 3)
    #expect(percentile(0.5, of: [1, 2, 3]) == 2)
    #expect(percentile(0.5, of: [7]) == 7)
    #expect(percentile(0.5, of: []) == nil)
  }
}
