import JSON

/// How the sandboxed program ended.
public enum ExitCause: Sendable, Hashable {
  case exited(code: Int)
  case signal(Int)
  case timeout
  case oom
  case cancelled
  /// Its client let the term pass: it stands still, or may no longer say that the sandbox may live.
  case lapsed
  /// The program never ran: which operation failed, on what, with which errno text.
  case setupFailed(operation: String, object: String, reason: String)
}

extension ExitCause {
  /// As it stands in receipts under `exit`.
  var json: JSONValue {
    switch self {
    case .exited(let code): ["cause": "exited", "code": .integer(Int64(code))]
    case .signal(let number): ["cause": "signal", "signal": .integer(Int64(number))]
    case .timeout: ["cause": "timeout"]
    case .oom: ["cause": "oom"]
    case .cancelled: ["cause": "cancelled"]
    case .lapsed: ["cause": "lapsed"]
    case .setupFailed(let operation, let object, let reason):
      ["cause": "setup failed", "operation": .string(operation), "object": .string(object), "reason": .string(reason)]
    }
  }

  init?(json: JSONValue?) {
    switch json?["cause"]?.string {
    case "exited": self = .exited(code: Int(json?["code"]?.integer ?? 0))
    case "signal": self = .signal(Int(json?["signal"]?.integer ?? 0))
    case "timeout": self = .timeout
    case "oom": self = .oom
    case "cancelled": self = .cancelled
    case "lapsed": self = .lapsed
    case "setup failed":
      self = .setupFailed(
        operation: json?["operation"]?.string ?? "", object: json?["object"]?.string ?? "",
        reason: json?["reason"]?.string ?? "")
    default: return nil
    }
  }

  /// The exit code that a shell would show: 128+n for signal n; 124 as timeout(1), 125 where nothing ran, 137 after oom.
  public var shellCode: Int32 {
    switch self {
    case .exited(let code): Int32(truncatingIfNeeded: code)
    case .signal(let number): Int32(128 + number)
    case .timeout: 124
    case .oom: 137
    case .cancelled, .lapsed: 130
    case .setupFailed: 125
    }
  }
}

extension ExitCause: CustomStringConvertible {
  /// In words, for logs and error messages.
  public var description: String {
    switch self {
    case .exited(let code): "exited \(code)"
    case .signal(let number): "signal \(number)"
    case .timeout: "timeout"
    case .oom: "out of memory"
    case .cancelled: "cancelled"
    case .lapsed: "its client's time ran out"
    case .setupFailed(let operation, let object, let reason):
      "setup failed at \(operation)\(object.isEmpty ? "" : " \(object)"): \(reason)"
    }
  }
}

/// What is known of an activation once it is over.
public struct Receipt: Sendable {
  /// The request's.
  public var activationID: String
  /// How it ended.
  public var exit: ExitCause
  /// The whole receipt, as it is kept and shown.
  public var json: JSONValue
  /// Puts a receipt together; `json` is what is shown.
  public init(activationID: String, exit: ExitCause, json: JSONValue) {
    self.activationID = activationID
    self.exit = exit
    self.json = json
  }
}
