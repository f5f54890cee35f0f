import HTTPServer
import Synchronization

/// One activation at its model: who it is, what it may use and what it used. The gateway writes it, the runner reads it
/// after the run.
public final class ModelSession: Sendable {
  private struct State {
    var budget: TokenBudget
    var usage = ModelUsage()
    var costUSD = 0.0
    var hasEstimate = false
    var underWay = 0
    /// Calls that were made and are over.
    var calls = 0
    /// The last call that is over.
    var last: ModelCallRecord?
    /// The first that the budget denied.
    var denial: ModelCallRecord?
    /// Calls in a row that failed at the provider, each after the gateway's own tries.
    var failures = 0
    /// Nothing more is to be expected of the model.
    var isOver: Bool { denial != nil || failures >= ModelSession.failureLimit }
    var waiting: [Int: CheckedContinuation<Void, Never>] = [:]
    var nextWaiter = 0

    /// Counts failures in a row; gives whoever waits for the last of them.
    mutating func count(_ record: ModelCallRecord) -> [CheckedContinuation<Void, Never>] {
      switch record.outcome {
      case .ok: failures = 0
      case .upstream where ModelSession.ofRequest.contains(record.status): break
      case .upstream, .unreachable, .resting, .cut: failures += 1
      case .budget, .refused, .cancelled: break
      }
      guard isOver else { return [] }
      defer { waiting = [:] }
      return Array(waiting.values)
    }
  }
  /// The activation's UUID.
  public let activationID: String
  /// In whose name calls are made.
  public let agentID: String
  /// What opens the gateway; worthless outside this activation.
  let token: String
  /// The provider and the models.
  public let choice: ModelChoice
  /// Calls at a time.
  static let maxConcurrent = 16
  private let state: Mutex<State>
  /// Some tools ask for minutes what was refused; the work is better put off.
  static let failureLimit = 3
  /// Statuses that are the request's own fault: another one may be answered.
  static let ofRequest: Set = [400, 404, 409, 413, 422]

  /// A session that has used nothing.
  /// - Parameters:
  ///   - maxTokens: of all calls, input and output together; nil for no limit.
  ///   - dollars: what the Hub lets the agent spend yet; nil for no limit.
  public init(
    activationID: String, agentID: String, token: String, choice: ModelChoice, maxTokens: Int?,
    dollars: Double? = nil
  ) {
    self.activationID = activationID
    self.agentID = agentID
    self.token = token
    self.choice = choice
    state = Mutex(State(budget: TokenBudget(limit: maxTokens, dollars: dollars)))
  }

  // MARK: For the runner

  /// What was counted so far.
  public var usage: ModelUsage { state.withLock { $0.usage } }
  /// By the price table, US dollars.
  public var costUSD: Double { state.withLock { $0.costUSD } }
  /// How many of its calls are over, and how many are under way.
  public var calls: (over: Int, underWay: Int) { state.withLock { ($0.calls, $0.underWay) } }
  /// Some of the counts are estimates.
  public var hasEstimate: Bool { state.withLock { $0.hasEstimate } }

  /// Why the activation failed at its model; nil where it didn't.
  ///
  /// A denied budget counts whatever came after it. Otherwise the last call counts: tools try again, and what was mended
  /// in the end is no failure.
  public var verdict: ModelVerdict? {
    state.withLock { state in
      if let denial = state.denial {
        return denial.isAgentsBudget ? .agentBudget : .activationBudget
      }
      return state.last.flatMap(ModelVerdict.init)
    }
  }

  /// Whether a call was denied for its budget, or the last three failed at the provider.
  public var isOver: Bool { state.withLock { $0.isOver } }

  /// Returns once a call was denied for its budget, or three in a row failed at the provider; at once where that is so.
  /// Throws when the task is cancelled.
  public func untilOver() async throws {
    let place = state.withLock { state in
      state.nextWaiter += 1
      return state.nextWaiter
    }
    await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        let isOver = state.withLock { state in
          guard !state.isOver, !Task.isCancelled else { return true }
          state.waiting[place] = continuation
          return false
        }
        if isOver { continuation.resume() }
      }
    } onCancel: {
      state.withLock { $0.waiting.removeValue(forKey: place) }?.resume()
    }
    try Task.checkCancellation()
  }

  // MARK: For the gateway

  func opens(_ given: some StringProtocol) -> Bool { !token.isEmpty && equalInConstantTime(given, token) }

  /// False where too many calls are under way; otherwise `leave` must follow.
  func enter() -> Bool {
    state.withLock { state in
      guard state.underWay < Self.maxConcurrent else { return false }
      state.underWay += 1
      return true
    }
  }

  /// Calls under way.
  var admittedNow: Int { state.withLock { $0.underWay } }

  func leave() { state.withLock { $0.underWay -= 1 } }

  func admit(requestBytes: Int, output: Int?, floor: Int) -> TokenBudget.Admission {
    state.withLock {
      $0.budget.admit(requestBytes: requestBytes, output: output, assumed: choice.usualOutput, floor: floor)
    }
  }

  /// Takes the record of a call that was made under a reservation.
  func settle(_ record: ModelCallRecord, reservation: Int) {
    let waiting = state.withLock { state -> [CheckedContinuation<Void, Never>] in
      state.budget.settle(reservation: reservation, used: record.usage.total, dollars: record.costUSD)
      state.usage = state.usage + record.usage
      state.calls += 1
      state.costUSD += record.costUSD
      if record.isEstimate, record.usage.total > 0 { state.hasEstimate = true }
      // A client that goes away says nothing of its provider; a program that ends leaves such calls behind.
      if record.outcome != .cancelled { state.last = record }
      return state.count(record)
    }
    for continuation in waiting { continuation.resume() }
  }

  /// Takes the record of a call that was not made.
  func refuse(_ record: ModelCallRecord) {
    let waiting = state.withLock { state -> [CheckedContinuation<Void, Never>] in
      // Once its own failures have ended the activation, their kind says more than that the provider is now left alone.
      if record.outcome != .resting || state.failures < Self.failureLimit { state.last = record }
      if record.outcome == .budget, state.denial == nil { state.denial = record }
      return state.count(record)
    }
    for continuation in waiting { continuation.resume() }
  }
}

/// What the gateway saw of an activation that failed at its model.
public enum ModelVerdict: Sendable, Hashable {
  /// It has used its tokens.
  case activationBudget
  /// The Hub's budget of the agent is used up.
  case agentBudget
  /// The agent called a model that it may not call.
  case modelNotPermitted(String)
  /// The provider did not take the operator's key or account: 401, 402, 403.
  case account(status: Int)
  /// The provider has no such model.
  case unknownModel(String)
  /// The provider asked to slow down or is overloaded: 429, 529, 503.
  case overloaded(status: Int, retryAfter: Double?)
  /// The provider can't be reached.
  case unreachable
  /// The provider failed too often and is left alone for a while.
  case resting(retryAfter: Double?)
  /// The provider answered an error of another kind.
  case failed(status: Int)
  /// The provider's answer broke off.
  case cut

  /// Nil where the call was good, or tells nothing.
  init?(_ last: ModelCallRecord) {
    switch last.outcome {
    case .ok, .cancelled, .budget: return nil
    case .refused:
      // A wrong token or route is the tool's own affair: it says so itself.
      guard last.status == 404, !last.model.isEmpty else { return nil }
      self = .modelNotPermitted(last.model)
    case .unreachable: self = .unreachable
    case .resting: self = .resting(retryAfter: last.retryAfter)
    case .cut: self = .cut
    case .upstream:
      switch last.status {
      case let status where Denial.ofOperator.contains(status): self = .account(status: status)
      case 404: self = .unknownModel(last.model)
      case 429, 529, 503: self = .overloaded(status: last.status, retryAfter: last.retryAfter)
      default: self = .failed(status: last.status)
      }
    }
  }
}
