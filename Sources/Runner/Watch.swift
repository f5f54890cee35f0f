import Gateway
import ModelGateway

/// What an activation does, as it does it: for somebody who looks on. Made of what the gateways write down of every call, so
/// that it is the same for every executor.
public enum WatchEvent: Sendable, Hashable {
  /// Everything that the prompt is made of was read.
  case prepared(agentID: String, toolType: String, model: String, promptBytes: Int)
  /// The sandbox is made; its program starts now.
  case started(profile: String)
  /// A model was called.
  case model(ModelCallSeen)
  /// A tool of an MCP server was called.
  case tool(AuditRecord)
  /// A line of the program's standard error, without control characters.
  case said(String)
}

/// One call of a model, as the gateway counted it.
public struct ModelCallSeen: Sendable, Hashable {
  /// The provider's name of the model.
  public var model: String
  /// How it ended.
  public var outcome = ModelCallRecord.Outcome.ok
  /// The HTTP status that the agent got.
  public var status = 200
  /// Tokens sent, caches included.
  public var input = 0
  /// Tokens received.
  public var output = 0
  /// US dollars; nil where the model has no price.
  public var costUSD: Double?
  /// From the request to the answer's last byte.
  public var milliseconds = 0.0
  /// How often the gateway asked again.
  public var retries = 0
  /// The stream was cut, so that the counts are a guess.
  public var isEstimate = false

  /// A call that is still to be described.
  public init(model: String) { self.model = model }
}

extension ModelCallSeen {
  /// What the gateway wrote down.
  public init(_ record: ModelCallRecord) {
    self.init(model: record.model)
    outcome = record.outcome
    status = record.status
    input = record.usage.allInput
    output = record.usage.output
    costUSD = record.costUSD > 0 ? record.costUSD : nil
    milliseconds = record.milliseconds
    retries = record.retries
    isEstimate = record.isEstimate
  }

  /// Why there is no whole answer, in words; nil where there is one.
  var trouble: String? {
    switch outcome {
    case .ok: nil
    case .budget: "the budget is used up"
    case .refused: "the gateway refused it with status \(status)"
    case .upstream: "the provider answered with status \(status)"
    case .cut: "the answer broke off"
    case .unreachable: "the provider can't be reached"
    case .resting: "the provider is left alone for a while"
    case .cancelled: "the program went away before its end"
    }
  }
}

extension RunnerServices {
  /// Where the gateway's tool calls are written down, with whoever looks on.
  var audit: Audit {
    let kept = Audit(logger: logger, metrics: metrics)
    guard let watch else { return kept }
    return kept.alsoSeen { record in watch(.tool(record)) }
  }
}

/// Cuts a stream of bytes into lines, for `WatchEvent.said`.
public struct LineCutter: Sendable {
  private var rest: [UInt8] = []
  /// What is kept of one line.
  private static let limit = 4096

  /// Nothing cut yet.
  public init() {}

  /// Takes the next bytes; gives the lines that end in them, fit for a terminal.
  public mutating func take(_ bytes: [UInt8]) -> [String] {
    var lines: [String] = []
    for byte in bytes {
      if byte == 10 {
        lines.append(Prompt.line(String(decoding: rest, as: UTF8.self)))
        rest = []
      } else if rest.count < Self.limit {
        rest.append(byte)
      }
    }
    return lines.filter { !$0.isEmpty }
  }
}
