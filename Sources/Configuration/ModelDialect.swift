/// A model provider's interface, as programs speak it.
public enum ModelDialect: String, Sendable, Hashable, CaseIterable {
  /// Anthropic Messages: `POST {url}/v1/messages`, `/v1/messages/count_tokens`.
  case anthropic
  /// OpenAI Chat Completions: `POST {url}/v1/chat/completions`.
  case openAIChat = "openai-chat"
  /// OpenAI Responses: `POST {url}/v1/responses`.
  case openAIResponses = "openai-responses"
}
