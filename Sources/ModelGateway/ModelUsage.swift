import Configuration

/// Tokens that a provider counted. All input counts: fresh, read from a cache, written to one.
public struct ModelUsage: Sendable, Hashable {
  /// Input that no cache knew.
  public var input = 0
  /// Input that was read from a cache.
  public var cacheRead = 0
  /// Input that was written to a cache.
  public var cacheWrite = 0
  /// Output.
  public var output = 0

  /// Counts.
  public init(input: Int = 0, cacheRead: Int = 0, cacheWrite: Int = 0, output: Int = 0) {
    self.input = input
    self.cacheRead = cacheRead
    self.cacheWrite = cacheWrite
    self.output = output
  }

  /// All that went in.
  public var allInput: Int { input + cacheRead + cacheWrite }
  /// All that is paid for.
  public var total: Int { allInput + output }

  /// Both together.
  public static func + (left: ModelUsage, right: ModelUsage) -> ModelUsage {
    ModelUsage(
      input: left.input + right.input, cacheRead: left.cacheRead + right.cacheRead,
      cacheWrite: left.cacheWrite + right.cacheWrite, output: left.output + right.output)
  }

  /// US dollars.
  public func cost(_ price: ModelPrice) -> Double {
    (Double(input) * price.input + Double(cacheRead) * price.cacheRead + Double(cacheWrite) * price.cacheWrite
      + Double(output) * price.output) / 1_000_000
  }
}
