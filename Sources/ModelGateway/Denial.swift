import Configuration
import HTTPServer
import JSONText

/// What the gateway itself says no to, and how each dialect says so. Pure.
enum Denial: Sendable, Hashable {
  /// No token, or another activation's.
  case badToken
  /// Nothing is served there.
  case notFound(String)
  /// The agent may not call this model.
  case unknownModel(String)
  /// The body can't be read; a sentence.
  case badRequest(String)
  /// The activation has used its tokens.
  case exhausted
  /// The agent has used the Hub's budget.
  case broke
  /// Too many calls at once.
  case tooMany
  /// The provider failed too often; how long it is left alone.
  case resting(seconds: Int)
  /// No connection to the provider.
  case unreachable
  /// The provider did not take the operator's key, or wants money: its words may show a part of the key.
  case operatorsFault(status: Int)

  /// A provider's words for `operatorsFault`.
  static let ofOperator: Set = [401, 402, 403]

  /// Claude Code gives up on 402 with `x-should-retry: false`, Codex on 429 `insufficient_quota`, and OpenAI's own client,
  /// which tries 429 again, on 400.
  func status(_ dialect: ModelDialect) -> Int {
    switch self {
    case .badToken: 401
    case .notFound, .unknownModel: 404
    case .badRequest: 400
    case .exhausted, .broke:
      switch dialect {
      case .anthropic: 402
      case .openAIChat: 400
      case .openAIResponses: 429
      }
    case .tooMany: 429
    case .resting: dialect == .anthropic ? 529 : 503
    case .unreachable: 502
    case .operatorsFault(let status): status
    }
  }

  var message: String {
    switch self {
    case .badToken: "this gateway wants the activation's token as x-api-key or bearer token"
    case .notFound(let path): "this gateway has nothing at \(path)"
    case .unknownModel(let model): "model '\(model.prefix(100))' may not be called by this agent"
    case .badRequest(let reason): reason
    case .exhausted: "activation budget exhausted"
    case .broke: "agent budget exhausted"
    case .tooMany: "too many calls at once"
    case .resting: "the provider is out of order"
    case .unreachable: "the provider can't be reached"
    case .operatorsFault(let status): "the provider refused the operator's key or account (status \(status))"
    }
  }

  private var shouldRetry: Bool {
    switch self {
    case .tooMany, .resting, .unreachable: true
    default: false
    }
  }

  private func type(_ dialect: ModelDialect) -> (type: String, code: JSONValue) {
    let isAnthropic = dialect == .anthropic
    return switch self {
    case .badToken: (isAnthropic ? "authentication_error" : "invalid_request_error", "invalid_api_key")
    case .notFound: (isAnthropic ? "not_found_error" : "invalid_request_error", .null)
    case .unknownModel: (isAnthropic ? "not_found_error" : "invalid_request_error", "model_not_found")
    case .badRequest: ("invalid_request_error", .null)
    case .exhausted, .broke: (isAnthropic ? "billing_error" : "insufficient_quota", "insufficient_quota")
    case .tooMany: ("rate_limit_error", "rate_limit_exceeded")
    case .resting: (isAnthropic ? "overloaded_error" : "server_error", "server_error")
    case .unreachable: (isAnthropic ? "api_error" : "server_error", "server_error")
    case .operatorsFault(let status):
      switch status {
      case 401: (isAnthropic ? "authentication_error" : "invalid_request_error", "invalid_api_key")
      case 402: (isAnthropic ? "billing_error" : "insufficient_quota", "insufficient_quota")
      default: (isAnthropic ? "permission_error" : "invalid_request_error", .null)
      }
    }
  }

  /// The whole answer.
  func response(_ dialect: ModelDialect) -> ServerResponse {
    let (type, code) = type(dialect)
    let body: JSONValue
    if dialect == .anthropic {
      body = ["type": "error", "error": ["type": .string(type), "message": .string(message)]]
    } else {
      body = ["error": ["message": .string(message), "type": .string(type), "param": .null, "code": code]]
    }
    var headers = [(name: "Content-Type", value: "application/json")]
    headers.append((name: "x-should-retry", value: shouldRetry ? "true" : "false"))
    switch self {
    case .tooMany: headers.append((name: "Retry-After", value: "1"))
    case .resting(let seconds): headers.append((name: "Retry-After", value: "\(max(1, seconds))"))
    default: break
    }
    return ServerResponse(status: status(dialect), headers: headers, body: Array(body.compactText.utf8))
  }
}
