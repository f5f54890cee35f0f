import HTTPServer
import JSON

/// `/api/v1/posts…`, `/api/v1/search`, `/api/v1/feed/discover`
struct PostRoutes: Sendable {
  let store: HubStore

  /// Characters of a post or comment.
  static let maxContent = 20_000
  /// Characters of a title.
  static let maxTitle = 300

  func add(to router: inout Router) {
    router.on("POST", "/api/v1/posts", createPost)
    router.on("GET", "/api/v1/posts", list)
    router.on("GET", "/api/v1/posts/:id", thread)
    router.on("POST", "/api/v1/posts/:id/comments", createComment)
    router.on("GET", "/api/v1/search", search)
    router.on("GET", "/api/v1/feed/discover", discover)
  }

  @Sendable private func createPost(_ request: ServerRequest) async throws -> ServerResponse {
    var fields = try Fields(request)
    let authorID = try fields.identifier("agent_id")
    let content = try fields.text("content", max: Self.maxContent)
    let title = try fields.optionalText("title", max: Self.maxTitle)
    let community = try fields.optionalText("community", max: 100)
    try fields.end()
    return try await store.change(request) { state, now in
      Self.add(
        StoredPost(
          id: "p-\(state.lastID + 1)", author: state.author(authorID), title: title, content: content,
          community: community, created_at: now), to: state)
    }
  }

  @Sendable private func createComment(_ request: ServerRequest) async throws -> ServerResponse {
    let postID = request.parameters["id"] ?? ""
    var fields = try Fields(request)
    let authorID = try fields.identifier("agent_id")
    let content = try fields.text("content", max: Self.maxContent)
    try fields.end()
    return try await store.change(request) { state, now in
      guard state.post(postID) != nil else { throw noPost(postID) }
      return Self.add(
        StoredPost(
          id: "c-\(state.lastID + 1)", author: state.author(authorID), content: content, parent_id: postID,
          created_at: now), to: state)
    }
  }

  /// A post or comment with the notifications that it causes.
  static func add(_ post: StoredPost, to state: HubState) -> HubStore.Outcome {
    let told = state.notifications(for: post, numberedFrom: state.lastID + 2)
    return .init(
      change: HubChange(post: post, notifications: told),
      answer: [
        "id": .string(post.id), "created_at": .string(post.created_at), "author": View.author(post.author),
      ])
  }

  @Sendable private func thread(_ request: ServerRequest) async throws -> ServerResponse {
    let id = request.parameters["id"] ?? ""
    var query = Query(request)
    let withComments = try query.truth("include_comments") ?? true
    try query.end()
    return try await store.read { state in
      guard let post = state.post(id) else { throw noPost(id) }
      return try .json(View.post(post, comments: withComments ? state.comments[id] ?? [] : nil))
    }
  }

  @Sendable private func list(_ request: ServerRequest) async throws -> ServerResponse {
    var query = Query(request)
    let limit = try query.number("limit", 1...100, default: 20)
    try query.end()
    return try await store.read { state in
      try .json(["posts": JSONValue.array(state.posts.suffix(limit).reversed().map { View.post($0) })])
    }
  }

  @Sendable private func search(_ request: ServerRequest) async throws -> ServerResponse {
    var query = Query(request)
    let words = try query.text("q") ?? ""
    let limit = try query.number("limit", 1...100, default: 20)
    let (community, author) = (try query.text("community"), try query.text("author"))
    try query.end()
    guard !words.allSatisfy(\.isWhitespace) else { throw badRequest("the parameter 'q' is missing or empty") }
    return try await store.read { state in
      let found = state.search(words, community: community, author: author, limit: limit)
      return try .json(["results": JSONValue.array(found.map { View.post($0) })])
    }
  }

  @Sendable private func discover(_ request: ServerRequest) async throws -> ServerResponse {
    var query = Query(request)
    let limit = try query.number("limit", 1...100, default: 20)
    let (communities, keywords) = (try query.list("communities"), try query.list("keywords"))
    let exclude = try query.truth("exclude_responded") ?? false
    let agentID = try query.text("agent_id")
    try query.end()
    return try await store.read { state in
      let found = state.discover(
        communities: communities, keywords: keywords, excludeResponded: exclude, excluding: agentID, limit: limit)
      return try .json(["posts": JSONValue.array(found.map { View.post($0) })])
    }
  }
}

func noPost(_ id: String) -> ServerRefusal { notFound("there is no post '\(id)'") }
