import JSON

/// Why one entry of an answer can't be read.
struct Unreadable: Error, Equatable {
  let sentence: String
  init(_ sentence: String) { self.sentence = sentence }
}

/// Turns the Hub's JSON into values. Lenient where no meaning is lost: ids may be numbers, an agent may be given as
/// `agent_id` or `agent{id,name}`, unknown fields and unknown notification types are fine.
enum Reading {
  /// nil for a notification that is already read.
  static func notification(_ value: JSONValue, at place: String, of agentID: String?) throws(Unreadable)
    -> HubNotification?
  {
    try object(value, at: place)
    let agent = try person(value, "agent", at: place)
    guard let owner = try optionalIdentifier(value, "agent_id", at: place) ?? agent?.id ?? agentID else {
      throw missing("agent_id", at: place)
    }
    let notification = HubNotification(
      id: try identifier(value, "id", at: place), type: try text(value, "type", at: place), agentID: owner,
      agentName: agent?.name, postID: try optionalIdentifier(value, "post_id", at: place),
      from: try person(value, "from_agent", at: place), content: try optionalText(value, "content", at: place),
      createdAt: try optionalText(value, "created_at", at: place))
    return value["read"]?.bool == true ? nil : notification
  }

  static func agent(_ value: JSONValue, at place: String) throws(Unreadable) -> HubAgent {
    try object(value, at: place)
    return HubAgent(
      id: try identifier(value, "id", at: place), name: try optionalText(value, "name", at: place),
      notificationCount: try optional(value, "notification_count", at: place, "a number") { $0.integer }.map {
        Int($0)
      },
      lastActivatedAt: try optionalText(value, "last_activated_at", at: place))
  }

  /// A post or comment without its comments. Content that is null was deleted and reads as empty.
  static func post(_ value: JSONValue, at place: String) throws(Unreadable) -> Post {
    try object(value, at: place)
    guard value["content"] != nil else { throw missing("content", at: place) }
    return Post(
      id: try identifier(value, "id", at: place), author: try person(value, "author", at: place),
      title: try optionalText(value, "title", at: place), content: try optionalText(value, "content", at: place) ?? "",
      community: try optionalText(value, "community", at: place),
      parent_id: try optionalIdentifier(value, "parent_id", at: place),
      created_at: try optionalText(value, "created_at", at: place))
  }

  static func created(_ value: JSONValue) throws(Unreadable) -> Created {
    try object(value, at: "")
    return Created(
      id: try identifier(value, "id", at: ""), created_at: try optionalText(value, "created_at", at: ""))
  }

  static func budget(_ value: JSONValue) throws(Unreadable) -> HubBudget {
    try object(value, at: "")
    guard let healthy = try optional(value, "healthy", at: "", "true or false", { $0.bool }) else {
      throw missing("healthy", at: "")
    }
    func number(_ name: String) throws(Unreadable) -> Double? {
      try optional(value, name, at: "", "a number") { $0.double }
    }
    return HubBudget(
      dailyLimit: try number("daily_limit"), dailyUsed: try number("daily_used"),
      monthlyLimit: try number("monthly_limit"), monthlyUsed: try number("monthly_used"), healthy: healthy)
  }

  // MARK: Fields

  /// The field through `read`; nil where it is absent or null.
  static func optional<Value>(
    _ value: JSONValue, _ name: String, at place: String, _ kind: String = "an array", _ read: (JSONValue) -> Value?
  ) throws(Unreadable) -> Value? {
    guard let field = value[name], field != .null else { return nil }
    guard let read = read(field) else { throw Unreadable("\(prefix(place))'\(name)' is not \(kind)") }
    return read
  }

  static func optionalIdentifier(_ value: JSONValue, _ name: String, at place: String) throws(Unreadable) -> String? {
    try optional(value, name, at: place, "a string") { $0.string ?? $0.integer.map { "\($0)" } }
  }

  private static func optionalText(_ value: JSONValue, _ name: String, at place: String) throws(Unreadable) -> String? {
    try optional(value, name, at: place, "a string") { $0.string }
  }

  private static func identifier(_ value: JSONValue, _ name: String, at place: String) throws(Unreadable) -> String {
    guard let id = try optionalIdentifier(value, name, at: place) else { throw missing(name, at: place) }
    guard !id.isEmpty else { throw Unreadable("\(prefix(place))'\(name)' is empty") }
    return id
  }

  private static func text(_ value: JSONValue, _ name: String, at place: String) throws(Unreadable) -> String {
    guard let text = try optionalText(value, name, at: place) else { throw missing(name, at: place) }
    return text
  }

  private static func person(_ value: JSONValue, _ name: String, at place: String) throws(Unreadable) -> Person? {
    guard let field = value[name], field != .null else { return nil }
    guard case .object = field else { throw Unreadable("\(prefix(place))'\(name)' is not an object") }
    let inner = place.isEmpty ? name : "\(place).\(name)"
    return Person(id: try identifier(field, "id", at: inner), name: try optionalText(field, "name", at: inner))
  }

  private static func object(_ value: JSONValue, at place: String) throws(Unreadable) {
    guard case .object = value else { throw Unreadable("\(place.isEmpty ? "the whole" : place) is not an object") }
  }

  private static func missing(_ name: String, at place: String) -> Unreadable {
    Unreadable("\(prefix(place))'\(name)' is missing")
  }

  private static func prefix(_ place: String) -> String { place.isEmpty ? "" : "\(place): " }
}
