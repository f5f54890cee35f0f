import Testing

@testable import HTTPServer

@Suite struct RouterTests {
  private var router: Router {
    var router = Router()
    router.on("GET", "/posts/:id") { .text("post \($0.parameters["id"] ?? "")") }
    router.on("GET", "/posts/new") { _ in .text("the form") }
    router.on("POST", "/posts/:id/comments") { .text(201, "comment on \($0.parameters["id"] ?? "")") }
    return router
  }

  private func answer(_ method: String, _ target: String) async throws -> (Int, String, allow: String?) {
    let request = ServerRequest(method: method, target: try RequestTarget(parsing: target), headers: [], body: [])
    let response = try await router.respond(to: request)
    return (response.status, String(decoding: response.body, as: UTF8.self), response.header("Allow"))
  }

  @Test(arguments: [
    ("GET", "/posts/7", 200, "post 7"),
    ("HEAD", "/posts/7", 200, "post 7"),
    ("GET", "/posts/7/", 200, "post 7"),
    ("GET", "/posts/new", 200, "the form"),
    ("POST", "/posts/7/comments", 201, "comment on 7"),
    ("GET", "/posts/a%2Fb", 200, "post a/b"),
    ("GET", "/nowhere", 404, #"{"error":{"code":"not_found","message":"there is nothing at /nowhere"}}"#),
    ("GET", "/", 404, #"{"error":{"code":"not_found","message":"there is nothing at /"}}"#),
  ])
  func findsTheHandler(_ method: String, _ target: String, _ status: Int, _ text: String) async throws {
    let found = try await answer(method, target)
    #expect(found.0 == status)
    #expect(found.1 == text)
  }

  @Test func saysWhichMethodsAPathTakes() async throws {
    let found = try await answer("DELETE", "/posts/7")
    #expect(found.0 == 405)
    #expect(found.allow == "GET, HEAD")
    #expect(
      found.1 == #"{"error":{"code":"method_not_allowed","message":"/posts/7 takes GET, HEAD, not DELETE"}}"#)
    #expect(try await answer("GET", "/posts/7/comments").allow == "POST")
  }
}

@Suite struct RequestTargetTests {
  @Test func decodesPathAndQuery() throws {
    let target = try RequestTarget(parsing: "/a%20b/%C3%A9?q=x+y%2Bz&flag&e=#f")
    #expect(target.path == "/a b/é")
    #expect(target.segments == ["a b", "é"])
    #expect(target.query.map(\.name) == ["q", "flag", "e"])
    #expect(target.query.map(\.value) == ["x y+z", "", ""])
  }

  @Test func readsTheAbsoluteForm() throws {
    #expect(try RequestTarget(parsing: "http://host:80/a?b=c").path == "/a")
  }

  @Test func writesDatesAsTheRFCShows() {
    #expect(HTTPDate.text(784_111_777) == "Sun, 06 Nov 1994 08:49:37 GMT")
  }
}
