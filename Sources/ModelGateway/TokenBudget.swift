/// What one activation may use of its model: reserved before a call, settled after it, calls at the same time included.
/// Pure.
struct TokenBudget: Sendable, Hashable {
  /// The answer to a call that wants to be made.
  enum Admission: Sendable, Hashable {
    /// So many tokens are reserved; where `maxOutput` is given, the call may not have more output than that.
    case admitted(reservation: Int, maxOutput: Int?)
    /// The activation has used its tokens.
    case exhausted
    /// The agent has used the money that the Hub gave it.
    case broke
  }
  /// Input and output tokens of all calls; nil for no limit.
  let limit: Int?
  /// US dollars that are left to the agent; nil for no limit.
  let dollars: Double?
  /// Tokens of calls that are over.
  private(set) var used = 0
  /// Tokens that calls under way may use.
  private(set) var reserved = 0
  /// US dollars of calls that are over.
  private(set) var spent = 0.0

  /// An unused budget.
  init(limit: Int?, dollars: Double? = nil) {
    self.limit = limit
    self.dollars = dollars
  }

  /// A call that could have fewer tokens of output than this is not made: its answer would be of no use.
  static let least = 256

  /// Reserves for a call: four bytes of its request are about a token of input, and its output may be as long as it says.
  ///
  /// Tools ask for as much output as the model has (Claude Code: 32,000 and more) and use little. Where that is more than
  /// what is left, the call is made with what is left, so that the limit holds and is not reached by mere reservations.
  /// - Parameters:
  ///   - output: what the request allows; nil where it says nothing, and then `assumed` is reserved.
  ///   - floor: the least output that the request can be lowered to.
  mutating func admit(requestBytes: Int, output: Int?, assumed: Int = 4096, floor: Int = 0) -> Admission {
    if let dollars, spent >= dollars { return .broke }
    let input = requestBytes / 4
    let wanted = output ?? assumed
    guard let limit else {
      reserved += input + wanted
      return .admitted(reservation: input + wanted, maxOutput: nil)
    }
    let left = limit - used - reserved - input
    guard left >= min(wanted, max(Self.least, floor)), left > 0 else { return .exhausted }
    let granted = min(wanted, left)
    reserved += input + granted
    return .admitted(reservation: input + granted, maxOutput: output != nil && granted < wanted ? granted : nil)
  }

  /// A call is over.
  mutating func settle(reservation: Int, used tokens: Int, dollars: Double) {
    reserved -= reservation
    used += tokens
    spent += dollars
  }
}
