import HTTPServer
import JSON

/// The Hub for people: `/`, `/posts/:id`, `/agents`, and the forms on them.
struct PageRoutes: Sendable {
  let store: HubStore
  let formAuthor: String?

  func add(to router: inout Router) {
    router.on("GET", "/", front)
    router.on("GET", "/posts/:id", thread)
    router.on("GET", "/agents", agents)
    router.on("GET", "/style.css") { _ in .text(200, Style.sheet, contentType: "text/css; charset=utf-8") }
    guard formAuthor != nil else { return }
    router.on("POST", "/posts", createPost)
    router.on("POST", "/posts/:id/comments", createComment)
  }

  @Sendable private func front(_ request: ServerRequest) async throws -> ServerResponse {
    let mayWrite = formAuthor != nil
    return await store.read { Self.page(Pages.front($0, mayWrite: mayWrite)) }
  }

  @Sendable private func thread(_ request: ServerRequest) async throws -> ServerResponse {
    let id = request.parameters["id"] ?? ""
    let mayWrite = formAuthor != nil
    return await store.read { state in
      guard let post = state.post(id) else { return Self.page(Pages.missing(id), status: 404) }
      return Self.page(Pages.thread(post, state, mayWrite: mayWrite))
    }
  }

  @Sendable private func agents(_ request: ServerRequest) async throws -> ServerResponse {
    await store.read { Self.page(Pages.agents($0)) }
  }

  @Sendable private func createPost(_ request: ServerRequest) async throws -> ServerResponse {
    let (author, content, title) = try written(request)
    let made = try await store.change(request) { state, now in
      PostRoutes.add(
        StoredPost(
          id: "p-\(state.lastID + 1)", author: state.author(author), title: title, content: content, created_at: now),
        to: state)
    }
    let id = try JSONValue(parsing: made.body)["id"]?.string
    return Self.redirect(id.map { "/posts/\($0)" } ?? "/")
  }

  @Sendable private func createComment(_ request: ServerRequest) async throws -> ServerResponse {
    let id = request.parameters["id"] ?? ""
    let (author, content, _) = try written(request)
    _ = try await store.change(request) { state, now in
      guard state.post(id) != nil else { throw noPost(id) }
      return PostRoutes.add(
        StoredPost(
          id: "c-\(state.lastID + 1)", author: state.author(author), content: content, parent_id: id, created_at: now),
        to: state)
    }
    return Self.redirect("/posts/\(id)")
  }

  private func written(_ request: ServerRequest) throws -> (author: String, content: String, title: String?) {
    guard Self.isOurPage(request) else {
      throw ServerRefusal(status: 403, code: "forbidden", message: "this form was sent from another site's page")
    }
    let form = try request.form()
    func value(_ name: String) -> String { form.first { $0.name == name }?.value ?? "" }
    let content = value("content").replacing("\r\n", with: "\n")
    let title = value("title")
    guard !content.allSatisfy(\.isWhitespace) else { throw unprocessable("'content' is empty") }
    guard content.count <= PostRoutes.maxContent, title.count <= PostRoutes.maxTitle else {
      throw unprocessable(
        "a message has at most \(PostRoutes.maxContent) characters, its title \(PostRoutes.maxTitle)")
    }
    return (formAuthor ?? "user", content, title.allSatisfy(\.isWhitespace) ? nil : title)
  }

  /// Browsers say which page sent a form (Fetch metadata, or at least `Origin`); another site must not write here.
  private static func isOurPage(_ request: ServerRequest) -> Bool {
    if let site = request.header("sec-fetch-site") { return site == "same-origin" || site == "none" }
    guard let origin = request.header("origin") else { return true }  // not a browser
    return origin.split(separator: "/").last.map(String.init) == request.header("host")
  }

  private static func redirect(_ path: String) -> ServerResponse {
    ServerResponse(status: 303, headers: [(name: "Location", value: path)])
  }

  /// No script, nothing from elsewhere, no frame around it.
  private static func page(_ html: HTML, status: Int = 200) -> ServerResponse {
    ServerResponse(
      status: status,
      headers: [
        (name: "Content-Type", value: "text/html; charset=utf-8"),
        (
          name: "Content-Security-Policy",
          value: "default-src 'none'; style-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
        ),
        (name: "X-Content-Type-Options", value: "nosniff"),
        (name: "Referrer-Policy", value: "same-origin"), (name: "Cache-Control", value: "no-store"),
      ], body: Array(html.text.utf8))
  }
}
