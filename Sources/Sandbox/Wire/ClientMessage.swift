import JSON
import Linux

/// From the client, one JSON object a packet. Written and read by hand, as the answers are: a sandbox waits for it.
struct ClientMessage: Sendable, Hashable {
  /// First: what to run. Descriptors: stdin, stdout, stderr, then one sealed memfd per file, then one with secrets.
  var spawn: SandboxRequest?
  /// Later: a signal for the program's process group.
  var signal: Int32?
  /// Later: the sandbox is to end now; its receipt still comes.
  var end: Bool?
  /// Later: the sandbox may live until then, and no longer.
  var term: BootTime?
  // Or, first and last, a question or an order about sandboxes (`ControlRequests.swift`): which there are; what this one
  // should look like; whether its processes stand still.
  var list: Bool?
  var inspect: String?
  var freeze: String?
  var thaw: String?

  /// One JSON object with the members that are there.
  var bytes: [UInt8] {
    get throws(JSONError) {
      var members: [String: JSONValue] = [:]
      members["spawn"] = try spawn?.json
      members["signal"] = signal.map { .integer(Int64($0)) }
      members["end"] = end.map { .bool($0) }
      members["term"] = term.map { .integer($0.nanoseconds) }
      members["list"] = list.map { .bool($0) }
      members["inspect"] = inspect.map { .string($0) }
      members["freeze"] = freeze.map { .string($0) }
      members["thaw"] = thaw.map { .string($0) }
      return JSONValue.object(members).compactBytes
    }
  }
}

extension ClientMessage {
  /// Reads one; what is there must be of its kind.
  init(parsing bytes: [UInt8]) throws(JSONError) {
    let fields = Fields(try JSONValue(parsing: bytes), "the message")
    if let request = fields.value["spawn"] { spawn = try SandboxRequest(json: request) }
    signal = try fields.integer("signal").map { number throws(JSONError) in try fields.fit(number, "signal") }
    list = try fields.flag("list")
    end = try fields.flag("end")
    term = try fields.integer("term").map { BootTime(nanoseconds: $0) }
    inspect = try fields.text("inspect")
    freeze = try fields.text("freeze")
    thaw = try fields.text("thaw")
  }
}

extension SandboxRequest {
  /// As it travels.
  var json: JSONValue {
    get throws(JSONError) {
      var members: [String: JSONValue] = [
        "activationID": .string(activationID), "profile": .string(profile),
        "arguments": .array(arguments.map { .string($0) }),
        "environment": .object(environment.mapValues { .string($0) }),
        "listeners": .array(listeners.map { ["name": .string($0.name), "port": .integer(Int64($0.port))] }),
        "files": .array(files.map { ["path": .string($0.path)] }), "limits": limits.json,
      ]
      members["workingDirectory"] = workingDirectory.map { .string($0) }
      members["workspace"] = workspace.map { .string($0) }
      if hasSecrets { members["secrets"] = true }
      members["term"] = term.map { .integer($0.nanoseconds) }
      if let tightening { members["tightening"] = try JSONValue(parsing: try JSON.encode(tightening)) }
      return .object(members)
    }
  }

  /// From what came; names the first member that is missing or of another kind.
  init(json: JSONValue) throws(JSONError) {
    let fields = Fields(json, "the request")
    self.init(
      activationID: try fields.required("activationID"), profile: try fields.required("profile"),
      arguments: try fields.texts("arguments"))
    for (name, value) in try fields.members("environment") {
      guard let text = value.string else { throw JSONError("'\(name)' in the request's environment must be a text") }
      environment[name] = text
    }
    for entry in try fields.elements("listeners") {
      let listener = Fields(entry, "a listener")
      guard let port = try listener.integer("port") else { throw JSONError("'port' is missing in a listener") }
      listeners.append(Listener(name: try listener.required("name"), port: try listener.fit(port, "port")))
    }
    for entry in try fields.elements("files") {
      files.append(File(path: try Fields(entry, "a file").required("path")))
    }
    limits = try Limits(json: fields.value["limits"] ?? [:])
    workingDirectory = try fields.text("workingDirectory")
    workspace = try fields.text("workspace")
    if let flag = try fields.flag("secrets") { hasSecrets = flag }
    term = try fields.integer("term").map { BootTime(nanoseconds: $0) }
    if let value = fields.value["tightening"] {
      tightening = try JSON.decode(Tightening.self, from: value.compactBytes)
    }
  }
}

extension SandboxRequest.Limits {
  fileprivate var json: JSONValue {
    var members: [String: JSONValue] = [:]
    members["memoryBytes"] = memoryBytes.map { .integer(Int64($0)) }
    members["cpus"] = cpus.map { .number($0) }
    members["pids"] = pids.map { .integer(Int64($0)) }
    members["timeoutSeconds"] = timeoutSeconds.map { .number($0) }
    members["workspaceBytes"] = workspaceBytes.map { .integer(Int64($0)) }
    return .object(members)
  }

  fileprivate init(json: JSONValue) throws(JSONError) {
    let fields = Fields(json, "the request's limits")
    self.init(
      memoryBytes: try fields.integer("memoryBytes").map { Int($0) }, cpus: try fields.number("cpus"),
      pids: try fields.integer("pids").map { Int($0) }, timeoutSeconds: try fields.number("timeoutSeconds"),
      workspaceBytes: try fields.integer("workspaceBytes").map { Int($0) })
  }
}

/// The members of an object, each of the kind that it should be; `place` names the object in errors.
private struct Fields {
  let value: JSONValue
  private let place: String

  init(_ value: JSONValue, _ place: String) {
    self.value = value
    self.place = place
  }

  func text(_ key: String) throws(JSONError) -> String? {
    guard let member = value[key] else { return nil }
    guard let text = member.string else { throw JSONError("'\(key)' in \(place) must be a text") }
    return text
  }

  func flag(_ key: String) throws(JSONError) -> Bool? {
    guard let member = value[key] else { return nil }
    guard let flag = member.bool else { throw JSONError("'\(key)' in \(place) must be true or false") }
    return flag
  }

  func required(_ key: String) throws(JSONError) -> String {
    guard let text = try text(key) else { throw JSONError("'\(key)' is missing in \(place)") }
    return text
  }

  func texts(_ key: String) throws(JSONError) -> [String] {
    guard let elements = value[key]?.array else { throw JSONError("'\(key)' in \(place) must be a list of texts") }
    let texts = elements.compactMap(\.string)
    if texts.count != elements.count { throw JSONError("'\(key)' in \(place) must be a list of texts") }
    return texts
  }

  func members(_ key: String) throws(JSONError) -> [String: JSONValue] {
    guard let member = value[key] else { return [:] }
    guard let members = member.object else { throw JSONError("'\(key)' in \(place) must be an object") }
    return members
  }

  func elements(_ key: String) throws(JSONError) -> [JSONValue] {
    guard let member = value[key] else { return [] }
    guard let elements = member.array else { throw JSONError("'\(key)' in \(place) must be a list") }
    return elements
  }

  func integer(_ key: String) throws(JSONError) -> Int64? {
    guard let member = value[key] else { return nil }
    guard let number = member.integer else { throw JSONError("'\(key)' in \(place) must be a whole number") }
    return number
  }

  func number(_ key: String) throws(JSONError) -> Double? {
    guard let member = value[key] else { return nil }
    guard let number = member.double else { throw JSONError("'\(key)' in \(place) must be a number") }
    return number
  }

  func fit<Number: FixedWidthInteger>(_ number: Int64, _ key: String) throws(JSONError) -> Number {
    guard let fitting = Number(exactly: number) else {
      throw JSONError("'\(key)' in \(place) is \(number), out of range")
    }
    return fitting
  }
}
