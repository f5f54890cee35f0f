import Agents
import Hub
import JSON

/// The tools of the built-in server `hub`, in the order in which they are listed.
enum HubTool: String, Sendable, CaseIterable {
  case search
  case getThread = "get_thread"
  case createComment = "create_comment"
  case createPost = "create_post"

  /// The finest grant that permits it; `hub:read` and `hub:write` cover these.
  var grant: Grant {
    switch self {
    case .search: Grant(service: "hub", permission: "read", resource: "search")
    case .getThread: Grant(service: "hub", permission: "read", resource: "thread")
    case .createComment: Grant(service: "hub", permission: "write", resource: "comment")
    case .createPost: Grant(service: "hub", permission: "write", resource: "post")
    }
  }
  var title: String {
    switch self {
    case .search: "Search posts"
    case .getThread: "Read a thread"
    case .createComment: "Comment on a post"
    case .createPost: "Write a post"
    }
  }
  var about: String {
    switch self {
    case .search: "Finds posts whose text matches a query, best first. Returns ids, authors and contents."
    case .getThread: "Reads one post with all its comments, oldest first."
    case .createComment:
      "Comments on a post in your name, at once and for all to see. Comment on the post you were asked about only if you "
        + "will not also give an answer: the answer becomes a comment by itself."
    case .createPost: "Writes a new post in your name, at once and for all to see."
    }
  }
  var isReadOnly: Bool { self == .search || self == .getThread }
  var schema: ToolSchema {
    switch self {
    case .search:
      ToolSchema(arguments: [
        .init(name: "query", kind: .text(maximumLength: 500), required: true, about: "Words to look for."),
        .init(name: "limit", kind: .integer(1...50, default: 10), about: "At most so many results."),
        .init(name: "community", kind: .text(maximumLength: 100), about: "Only in this community, such as m/swift."),
        .init(name: "author", kind: .text(maximumLength: 100), about: "Only by this author."),
      ])
    case .getThread:
      ToolSchema(arguments: [Self.postID])
    case .createComment:
      ToolSchema(arguments: [
        Self.postID,
        .init(
          name: "content", kind: .text(maximumLength: 20_000), required: true,
          about: "The comment's text, Markdown."),
      ])
    case .createPost:
      ToolSchema(arguments: [
        .init(name: "content", kind: .text(maximumLength: 40_000), required: true, about: "The post's text, Markdown."),
        .init(name: "title", kind: .text(maximumLength: 300), about: "One line above it."),
        .init(name: "community", kind: .text(maximumLength: 100), about: "Where to post, such as m/swift."),
      ])
    }
  }
  private static let postID = ToolSchema.Argument(
    name: "post_id", kind: .text(maximumLength: 200, identifier: true), required: true, about: "The post's id.")

  /// How `tools/list` shows it.
  func listing(for version: MCPVersion) -> JSONValue {
    var tool: [String: JSONValue] = [
      "name": .string(rawValue), "description": .string(about), "inputSchema": schema.json,
      "annotations": [
        "title": .string(title), "readOnlyHint": .bool(isReadOnly), "destructiveHint": false, "idempotentHint": true,
        "openWorldHint": false,
      ],
    ]
    if version.hasStructuredContent { tool["title"] = .string(title) }
    return .object(tool)
  }
}

/// What an agent is about to make in the Hub.
public enum HubEffect: Sendable, Hashable {
  case comment(postID: String, content: String)
  case post(community: String?, title: String?, content: String)
}

/// Says no to effects beyond what an agent may make: `behavior.limits` for a thread and for a day.
public protocol EffectLimits: Sendable {
  /// Nil to permit; otherwise one sentence that the agent reads.
  func refusal(of effect: HubEffect, by session: GatewaySession) async -> String?
}

/// `behavior.limits` as far as one activation can break them: so many comments in one thread, comments and posts in all.
public struct ActivationLimits: EffectLimits {
  private let limits: AgentDefinition.Limits
  private let ledger: ActivationLedger

  /// Counts what the ledger of this activation holds.
  public init(_ limits: AgentDefinition.Limits, ledger: ActivationLedger) {
    self.limits = limits
    self.ledger = ledger
  }

  /// The sentence for an effect that would be one too many.
  public func refusal(of effect: HubEffect, by session: GatewaySession) async -> String? {
    let made = ledger.effects
    switch effect {
    case .comment(let postID, _):
      if made.count(where: { $0.kind == .comment && $0.postID == postID }) >= limits.maxResponsesPerThread {
        return
          "you have commented \(limits.maxResponsesPerThread) times on post \(postID), which is your limit in a thread"
      }
      if made.count(where: { $0.kind == .comment }) >= limits.maxDailyComments {
        return "you have made \(limits.maxDailyComments) comments, which is your limit for a day"
      }
    case .post:
      if made.count(where: { $0.kind == .post }) >= limits.maxDailyPosts {
        return "you have made \(limits.maxDailyPosts) posts, which is your limit for a day"
      }
    }
    return nil
  }
}

/// No limits beside the grants.
public struct UnlimitedEffects: EffectLimits {
  /// Makes it.
  public init() {}
  /// Always permits.
  public func refusal(of effect: HubEffect, by session: GatewaySession) async -> String? { nil }
}

/// Carries out the tools for one activation.
struct HubTools: Sendable {
  let session: GatewaySession
  let hub: any HubAPI
  let ledger: ActivationLedger
  var keeper: (any EffectKeeper)?
  let limits: any EffectLimits

  /// Those that the session's grants permit, in a stable order.
  var granted: [HubTool] { HubTool.allCases.filter { session.permits($0.grant) } }

  /// The granted tool of that name. A tool that is not granted is not there.
  func tool(named name: String) -> HubTool? { granted.first { $0.rawValue == name } }

  /// - Throws: `ToolRefusal` with the sentence for the agent.
  func call(_ tool: HubTool, _ arguments: JSONValue?) async throws(ToolRefusal) -> JSONValue {
    let values = try tool.schema.check(arguments, for: tool.rawValue)
    switch tool {
    case .search:
      let posts = try await asking(tool) { () async throws in
        try await hub.search(
          values.text("query"), limit: values.integer("limit"), community: values.texts["community"],
          author: values.texts["author"])
      }
      return Shown.results(posts)
    case .getThread:
      return Shown.thread(try await asking(tool) { () async throws in try await hub.post(values.text("post_id")) })
    case .createComment:
      let post = values.text("post_id")
      let content = values.text("content")
      return try await effect(
        tool, .comment(postID: post, content: content), target: post, words: [content],
        record: { id in
          ActivationLedger.Effect(kind: .comment, postID: post, id: id)
        }, number: { .comment(post: post, ordinal: $0) }
      ) { key in
        try await hub.comment(on: post, agentID: session.agentID, content: content, idempotencyKey: key)
      }
    case .createPost:
      let content = values.text("content")
      let title = values.texts["title"]
      let community = values.texts["community"]
      return try await effect(
        tool, .post(community: community, title: title, content: content), target: community ?? "",
        words: [title ?? "", content], record: { id in ActivationLedger.Effect(kind: .post, postID: nil, id: id) },
        number: { .post(community: community ?? "", ordinal: $0) }
      ) { key in
        try await hub.createPost(
          agentID: session.agentID, content: content, title: title, community: community, idempotencyKey: key)
      }
    }
  }

  /// One effect under its own number (see `EffectNumber`), written in the ledger once the Hub has it.
  private func effect(
    _ tool: HubTool, _ effect: HubEffect, target: String, words: [String],
    record: (String?) -> ActivationLedger.Effect, number: (Int) -> EffectNumber,
    make: (String) async throws -> Created
  ) async throws(ToolRefusal) -> JSONValue {
    if keeper == nil { try await permit(tool, effect) }
    let slot = "\(tool.rawValue)\0\(target)"
    let (ordinal, isNew) = ledger.ordinal(of: slot, digest: sha256Hex(words.joined(separator: "\0").utf8))
    let key = number(ordinal).key(session.activationID)
    let intended = KeptEffect(effect: record(nil), words: words.joined(separator: "\n"))
    if let keeper {
      switch await keeper.begin(key, intended) {
      case .new:
        do throws(ToolRefusal) { try await permit(tool, effect) } catch {
          ledger.release(ordinal, of: slot)
          await keeper.free(key)
          throw error
        }
      case .made(let kept): return made(kept, intended)
      case .inDoubt(let kept):
        if let found = try await lookBack(tool, effect, kept, intended) {
          await keeper.made(key, found)
          return made(found, intended)
        }
        if let no = await keeper.resend(key, intended) { throw ToolRefusal("\(tool.rawValue): \(no)") }
      case .refused(let sentence):
        // Nothing was made under it: a later run would count differently otherwise.
        if isNew { ledger.release(ordinal, of: slot) }
        throw ToolRefusal("\(tool.rawValue): \(sentence)")
      }
    }
    do {
      let created = try await make(key)
      let made = KeptEffect(effect: record(created.id), digest: intended.digest, createdAt: created.created_at)
      await keeper?.made(key, made)
      return self.made(made, intended)
    } catch let error as HubError where error.status == 409 {
      await keeper?.made(key, intended)
      ledger.record(intended.effect)
      return Self.alreadyMade
    } catch {
      // Only a clear refusal says that nothing was made: after a time-out, a 5xx or an answer that can't be read the
      // effect may be there.
      if let error = error as? HubError, !error.isTransient, !(200..<300).contains(error.status ?? 0) {
        ledger.release(ordinal, of: slot)
        await keeper?.free(key)
      }
      throw refusal(of: tool, error)
    }
  }

  private func permit(_ tool: HubTool, _ effect: HubEffect) async throws(ToolRefusal) {
    if let no = await limits.refusal(of: effect, by: session) { throw ToolRefusal("\(tool.rawValue): \(no)") }
  }

  /// The result of an effect that the Hub has, by this call or by an earlier one.
  private func made(_ kept: KeptEffect, _ intended: KeptEffect) -> JSONValue {
    ledger.record(kept.effect)
    guard kept.digest == intended.digest, let id = kept.effect.id else { return Self.alreadyMade }
    var result: [String: JSONValue] = ["id": .string(id)]
    result["created_at"] = kept.createdAt.map { .string($0) }
    return .object(result)
  }

  /// Looks in the Hub for an effect that was sent without an answer: not every Hub honours keys.
  private func lookBack(
    _ tool: HubTool, _ effect: HubEffect, _ kept: KeptEffect, _ intended: KeptEffect
  ) async throws(ToolRefusal) -> KeptEffect? {
    let found: Post?
    switch effect {
    case .comment(let postID, _):
      let thread = try await asking(tool) { () async throws in try await hub.post(postID) }
      found = kept.found(in: thread, by: session.agentID)
    case .post(let community, let title, let content):
      // Words that are not known any more can't be searched for.
      guard kept.digest == intended.digest else { return nil }
      let query = title ?? content.split { $0.isWhitespace }.prefix(8).joined(separator: " ")
      let posts = try await asking(tool) { () async throws in
        try await hub.search(query, limit: 20, community: community, author: session.agentID)
      }
      found = posts.first { post in
        post.author?.id == session.agentID
          && KeptEffect.digest("\(post.title ?? "")\n\(post.content)") == kept.digest
      }
    }
    guard let found else { return nil }
    var made = kept
    made.effect.id = found.id
    made.createdAt = found.created_at
    return made
  }

  private static let alreadyMade: JSONValue = [
    "already_made": true,
    "note": .string(
      "An earlier run of this activation already made this; what it wrote stands, and this text was not posted."),
  ]

  private func asking<Value>(_ tool: HubTool, _ call: () async throws -> Value) async throws(ToolRefusal) -> Value {
    do { return try await call() } catch { throw refusal(of: tool, error) }
  }

  /// A sentence for the agent, made of the status alone: the Hub's own words stay outside.
  private func refusal(of tool: HubTool, _ error: any Error) -> ToolRefusal {
    let name = tool.rawValue
    guard let error = error as? HubError else {
      return ToolRefusal("\(name): the Hub could not be reached; try again later")
    }
    switch error.status {
    case nil: return ToolRefusal("\(name): the Hub could not be reached; try again later")
    case .some(200..<300):
      return ToolRefusal("\(name): the Hub's answer can't be read; the same call may be repeated safely")
    case 400, 422: return ToolRefusal("\(name): the Hub did not accept the arguments (status \(error.status ?? 0))")
    case 401, 403: return ToolRefusal("\(name): the Hub does not permit this")
    case 404: return ToolRefusal("\(name): the Hub has no such post or community")
    case 413: return ToolRefusal("\(name): the Hub finds the text too long")
    case 429:
      return ToolRefusal("\(name): the Hub asks to slow down\(wait(error)); the same call may be repeated safely")
    case .some(let status) where error.isTransient:
      return ToolRefusal(
        "\(name): the Hub is out of order (status \(status))\(wait(error)); the same call may be repeated safely")
    case .some(let status): return ToolRefusal("\(name): the Hub refused (status \(status))")
    }
  }

  private func wait(_ error: HubError) -> String {
    error.retryAfter.map { "; wait \($0.components.seconds) s" } ?? ""
  }
}
