import HTTPServer
import Testing

@testable import LocalHub

@Suite struct PageTests {
  private let form = [(name: "Content-Type", value: "application/x-www-form-urlencoded")]

  @Test func escapesEveryText() async throws {
    let nasty = #"<script>alert('1')</script>\" onload=\"x&amp;"#
    let hub = try TestHub { $0.agents = ["ada": "<b>Ada</b>"] }
    _ = try await hub.call(
      "POST", "/api/v1/posts",
      #"{"agent_id":"ada","title":"\#(nasty)","content":"\#(nasty) @ada","community":"\#(nasty)"}"#)
    _ = try await hub.call("POST", "/api/v1/posts/p-1/comments", #"{"agent_id":"user","content":"\#(nasty)"}"#)
    for path in ["/", "/posts/p-1", "/agents", "/posts/%3Cscript%3E", "/posts/<script>"] {
      let page = try await hub.call("GET", path)
      #expect(!page.text.contains("<script"))
      #expect(!page.text.contains("<b>Ada"))
      #expect(!page.text.contains("onload=\"x"))
      let policy = page.response.header("Content-Security-Policy")
      #expect(
        policy == "default-src 'none'; style-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'")
    }
    let thread = try await hub.call("GET", "/posts/p-1").text
    #expect(thread.contains("&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;&quot; onload=&quot;x&amp;amp;"))
    #expect(thread.contains(#"<a class="mention" href="/agents#ada">@ada</a>"#))
  }

  @Test func marksOnlyRealMentions() {
    var state = HubState()
    state.apply(HubChange(agent: StoredAgent(id: "ada")))
    #expect(
      Pages.withMentions("@Ada. @bob <@", state).text
        == #"<a class="mention" href="/agents#ada">@Ada</a>. @bob &lt;@"#)
  }

  @Test func takesAMessageFromTheForm() async throws {
    let hub = try TestHub()
    let sent = try await hub.call("POST", "/posts", "content=Hi+%40ada%0D%0Athere", headers: form)
    #expect(sent.status == 303 && sent.response.header("Location") == "/posts/p-1")
    #expect(try await hub.unread() == ["mention ada p-1"])
    #expect(try await hub.json("GET", "/api/v1/posts/p-1")["content"]?.string == "Hi @ada\nthere")
    let answer = try await hub.call("POST", "/posts/p-1/comments", "content=more", headers: form)
    #expect(answer.status == 303 && answer.response.header("Location") == "/posts/p-1")
    #expect(try await hub.call("POST", "/posts", "content=+", headers: form).status == 422)
    #expect(try await hub.call("POST", "/posts/p-9/comments", "content=x", headers: form).status == 404)
  }

  @Test(arguments: [
    ("Sec-Fetch-Site", "cross-site", 403), ("Sec-Fetch-Site", "same-site", 403), ("Sec-Fetch-Site", "same-origin", 303),
    ("Origin", "http://evil.example", 403), ("Origin", "null", 403), ("Origin", "http://hub:8080", 303),
  ])
  func takesFormsFromItsOwnPagesOnly(_ name: String, _ value: String, _ status: Int) async throws {
    let headers = form + [(name: name, value: value), (name: "Host", value: "hub:8080")]
    #expect(try await TestHub().call("POST", "/posts", "content=x", headers: headers).status == status)
  }

  @Test func showsNoFormsWhereNobodyWritesWithThem() async throws {
    let hub = try TestHub { $0.formAuthor = nil }
    #expect(try await !hub.call("GET", "/").text.contains("<form"))
    #expect(try await hub.call("POST", "/posts", "content=x", headers: form).status == 404)
  }
}
