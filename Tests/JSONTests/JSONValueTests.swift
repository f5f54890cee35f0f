import JSON
import Testing

@Test func roundTripKeepsIntegersExact() throws {
  let text = #"{"a":[1,2.5,true,null,"x"],"b":9007199254740993}"#
  let value = try JSONValue(parsing: text.utf8)
  #expect(value["b"]?.integer == 9_007_199_254_740_993)
  #expect(try JSON.text(value) == text)
}

@Test func errorNamesThePathToTheKey() {
  struct Inbox: Decodable { struct Entry: Decodable { var id: String }; var notifications: [Entry] }
  #expect(throws: JSONError("'notifications[1].id' is missing")) {
    try JSON.decode(Inbox.self, from: #"{"notifications":[{"id":"a"},{}]}"#.utf8)
  }
}
