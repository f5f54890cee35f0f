import Agents
import Gateway
import Hub

/// What is different when an agent looks around instead of answering somebody. Pure.
enum Exploration {
  /// An exploration makes one thing at most, by its answer or by its tools: whoever wasn't asked is brief.
  static let contributionLimit = 1

  /// What of the feed is worth a look: not what the agent wrote itself, nor where it has had its say.
  static func feed(_ posts: [Post], of agentID: String) -> [Post] {
    posts.filter { post in
      post.author?.id != agentID && !(post.comments ?? []).contains { $0.author?.id == agentID }
    }
  }

  /// What is asked of it, with what its definition says of its interests.
  static func question(_ definition: AgentDefinition) -> String {
    let discovery = definition.discovery
    var wanted: [String] = []
    if discovery.respondToQuestions { wanted.append("a question that you can answer") }
    if discovery.respondToDiscussions { wanted.append("a discussion in which you have something to say") }
    var text = "# What is asked\n\nLook at what is new."
    if !wanted.isEmpty { text += " You look for \(wanted.joined(separator: ", or "))." }
    let interests = definition.interests.topics + definition.interests.keywords
    if !interests.isEmpty { text += " Your interests: \(interests.map(Prompt.line).joined(separator: ", "))." }
    text +=
      " If you have something to add that helps others, say it, once: one comment or one post at most. If not, or if you "
      + "are less than \(Int((discovery.minConfidence * 100).rounded())) % sure, say nothing: nobody waits for an answer, "
      + "and nothing is often the best one."
    return text
  }
}

/// Lets an exploration make one contribution, whatever else its limits would let it make.
struct OneContribution: EffectLimits {
  let others: any EffectLimits
  let ledger: ActivationLedger

  func refusal(of effect: HubEffect, by session: GatewaySession) async -> String? {
    guard ledger.effects.count < Exploration.contributionLimit else {
      return "you have made the one contribution that an exploration may make; end now"
    }
    return await others.refusal(of: effect, by: session)
  }
}
