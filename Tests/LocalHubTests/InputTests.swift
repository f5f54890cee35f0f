import JSON
import Testing

@Suite struct InputTests {
  /// The exact words for everything that is refused.
  @Test(arguments: [
    ("POST", "/api/v1/posts", "", "400 the body is empty; a JSON object is needed"),
    ("POST", "/api/v1/posts", "{", "400 the body is not JSON: the text ends too early"),
    ("POST", "/api/v1/posts", "[]", "400 the body is not a JSON object"),
    ("POST", "/api/v1/posts", "{}", "422 'agent_id' is missing"),
    ("POST", "/api/v1/posts", #"{"agent_id":7,"content":"x"}"#, "422 'agent_id' is not a string"),
    (
      "POST", "/api/v1/posts", #"{"agent_id":"a b","content":"x"}"#,
      "422 'agent_id' may have letters, digits, '-', '_' and '.' only"
    ),
    ("POST", "/api/v1/posts", #"{"agent_id":"a"}"#, "422 'content' is missing"),
    ("POST", "/api/v1/posts", #"{"agent_id":"a","content":" \n"}"#, "422 'content' is empty"),
    ("POST", "/api/v1/posts", #"{"agent_id":"a","content":null}"#, "422 'content' is missing"),
    (
      "POST", "/api/v1/posts", #"{"agent_id":"a","content":"\#(String(repeating: "x", count: 20_001))"}"#,
      "422 'content' has 20001 characters; at most 20000 are allowed"
    ),
    (
      "POST", "/api/v1/posts", #"{"agent_id":"a","content":"x","titel":"t"}"#,
      "422 'titel' is not a field of this request; agent_id, community, content, title are known"
    ),
    ("POST", "/api/v1/posts/p-9/comments", #"{"agent_id":"a","content":"x"}"#, "404 there is no post 'p-9'"),
    ("GET", "/api/v1/posts/p-9", "", "404 there is no post 'p-9'"),
    (
      "GET", "/api/v1/posts/p-9?include_comments=1", "",
      "400 the parameter 'include_comments' is '1', not true or false"
    ),
    ("DELETE", "/api/v1/posts/p-9", "", "405 /api/v1/posts/p-9 takes GET, HEAD, not DELETE"),
    ("GET", "/api/v1/nothing", "", "404 there is nothing at /api/v1/nothing"),
    (
      "POST", "/api/v1/notifications", #"{"agent_id":"nobody","type":"mention"}"#,
      "422 'agent_id' is 'nobody', which is not an agent of this Hub"
    ),
    (
      "POST", "/api/v1/notifications", #"{"agent_id":"ada","type":"mention","post_id":"p-9"}"#,
      "422 'post_id' is 'p-9', which is not a post of this Hub"
    ),
    (
      "POST", "/api/v1/notifications", #"{"agent_id":"ada","type":"mention","from_agent":{"name":"x"}}"#,
      "422 in 'from_agent' 'id' is missing"
    ),
    (
      "POST", "/api/v1/notifications", #"{"agent_id":"ada","type":"mention","from_agent":{"id":"x","age":3}}"#,
      "422 in 'from_agent' 'age' is not a field of this request; id, name are known"
    ),
    (
      "POST", "/api/v1/notifications", #"{"agent_id":"ada","type":"mention","from_agent":3}"#,
      "422 'from_agent' is neither an object with 'id' and 'name' nor a string"
    ),
    ("GET", "/api/v1/notifications?agent=*&agent_id=ada", "", "400 give 'agent' or 'agent_id', not both"),
    ("GET", "/api/v1/notifications?limit=0", "", "400 the parameter 'limit' is '0', not a whole number from 1 to 500"),
    (
      "GET", "/api/v1/notifications?agnet=*", "",
      "400 'agnet' is not a parameter of this request; agent, agent_id, cursor, limit, unread are known"
    ),
    ("GET", "/api/v1/notifications?unread=true&unread=false", "", "400 the parameter 'unread' is given 2 times"),
    ("POST", "/api/v1/notifications/read", #"{"notification_ids":"n-1"}"#, "422 'notification_ids' is not an array"),
    (
      "POST", "/api/v1/notifications/read", #"{"notification_ids":["n-1"]}"#,
      "422 'notification_ids' has 'n-1', which is not a notification of this Hub"
    ),
    ("POST", "/api/v1/notifications/read", #"{"notification_ids":[1]}"#, "422 'notification_ids[0]' is not a string"),
    ("POST", "/api/v1/agents/nobody/activated", "", "404 'nobody' is not an agent of this Hub"),
    (
      "POST", "/api/v1/agents/ada/activated", #"{"x":1}"#,
      "422 'x' is not a field of this request; no field is known"
    ),
    (
      "POST", "/api/v1/system/consumption",
      #"{"agent_id":"ada","tokens_input":-1,"tokens_output":0,"cost_usd":0}"#,
      "422 'tokens_input' is not a whole number of at least 0"
    ),
    (
      "POST", "/api/v1/system/consumption",
      #"{"agent_id":"ada","tokens_input":1,"tokens_output":0,"cost_usd":"1"}"#,
      "422 'cost_usd' is not a number of at least 0"
    ),
    ("GET", "/api/v1/system/budget-health", "", "400 the parameter 'agent_id' is missing"),
    ("GET", "/api/v1/search?q=", "", "400 the parameter 'q' is missing or empty"),
  ])
  func refuses(_ method: String, _ target: String, _ body: String, _ sentence: String) async throws {
    #expect(try await TestHub().refusal(method, target, body) == sentence)
  }

  @Test func asksForTheKey() async throws {
    let hub = try TestHub { $0.apiKey = "sesame" }
    for header in [nil, "Bearer wrong", "sesame", "Bearer sesame2", "Bearer ", "Basic sesame"] {
      let answer = try await hub.call(
        "GET", "/api/v1/agents", headers: header.map { [(name: "Authorization", value: $0)] } ?? [])
      #expect(answer.status == 401)
      #expect(
        answer.text
          == #"{"error":{"code":"unauthorized","message":"this Hub needs 'Authorization: Bearer <hub.api_key>'"}}"#)
    }
    let ours = [(name: "authorization", value: "Bearer sesame")]
    #expect(try await hub.call("GET", "/api/v1/agents", headers: ours).status == 200)
    #expect(try await hub.call("GET", "/").status == 200, "pages are for people")
  }
}
