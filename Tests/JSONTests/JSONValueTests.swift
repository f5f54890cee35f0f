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

@Test(arguments: [
  (" [1, -0, 1.0, 1e2, 1.5] ", "[1,0,1,100,1.5]"),
  (#"{"a":"\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00","b":[],"c":{}}"#, #"{"a":"\"\\/\b\f\n\r\té😀","b":[],"c":{}}"#),
  ("\u{FEFF}null", "null"), ("true", "true"), ("false", "false"), (#"{"a":1,"a":2}"#, #"{"a":1}"#),
])
func readsWhatTheGrammarAllows(_ text: String, _ written: String) throws {
  #expect(try JSON.text(JSONValue(parsing: text.utf8)) == written)
}

@Test(arguments: [
  ("", "not JSON: the text ends too early"), (" [", "not JSON: the text ends too early"),
  ("\"a", "not JSON: the text ends too early"), ("tru", "not JSON: the text ends too early"),
  ("1.", "not JSON: the text ends too early"), ("\"\\u12", "not JSON: the text ends too early"),
  ("<html>", "not JSON: byte 1 can't stand there"), ("[1,]", "not JSON: byte 4 can't stand there"),
  ("{\"a\":1,}", "not JSON: byte 8 can't stand there"), ("01", "not JSON: byte 2 can't stand there"),
  ("1 2", "not JSON: byte 3 can't stand there"), ("\"\n\"", "not JSON: byte 2 can't stand there"),
  ("\"\\x\"", "not JSON: byte 3 can't stand there"), ("{1:2}", "not JSON: byte 2 can't stand there"),
  ("+1", "not JSON: byte 1 can't stand there"), ("\"\\ud800x\"", "not JSON: byte 8 can't stand there"),
  ("\"\\udc00\"", "not JSON: half of a surrogate pair"), ("\"\\ud800\\u0041\"", "not JSON: half of a surrogate pair"),
  ("1e999", "not JSON that is read here: a number is too large"),
])
func refusesTheRestInWords(_ text: String, _ reason: String) {
  #expect(throws: JSONError(reason)) { try JSONValue(parsing: text.utf8) }
}

@Test func refusesBytesThatAreNotUTF8() {
  #expect(throws: JSONError("not JSON: a text is not UTF-8")) { try JSONValue(parsing: [0x22, 0xFF, 0x22]) }
}

// What an agent sent to its gateway took the decoder minutes, on threads that keep other agents' leases alive.
@Test func deepNestingCostsNoMoreThanItsLength() throws {
  let deep = String(repeating: "[", count: 100) + String(repeating: "]", count: 100)
  let text = "[" + Array(repeating: deep, count: 5000).joined(separator: ",") + "]"
  let started = ContinuousClock.now
  let value = try JSONValue(parsing: text.utf8)
  // The decoder took 40 s for this, optimized; the bound leaves room for a busy machine.
  #expect(ContinuousClock.now - started < .seconds(20))
  #expect(value.array?.count == 5000)
  let tooDeep = String(repeating: "[", count: 129) + String(repeating: "]", count: 129)
  #expect(throws: JSONError("not JSON that is read here: nested deeper than 128")) {
    try JSONValue(parsing: tooDeep.utf8)
  }
}

@Test func compactTextReadsBackAsTheSameValue() throws {
  let value: JSONValue = ["b": [1, 2.5, nil, true], "a": "quote \" backslash \\ bell \u{7} ü 🦉\n", "c": ["x": -9]]
  #expect(try JSONValue(parsing: value.compactText.utf8) == value)
  #expect(value.compactText.hasPrefix(#"{"a":"quote \" backslash \\ bell \u0007 ü 🦉\n","b":[1,2.5,null,true],"#))
}
