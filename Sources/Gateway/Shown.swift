import Hub
import JSON

/// How the Hub's things are shown to an agent: its own fields only, bounded in size, since a model pays for each word.
enum Shown {
  /// Bytes of JSON that one result may have.
  static let limit = 200_000

  static func results(_ posts: [Post], limit: Int = limit) -> JSONValue {
    let (kept, left) = fitting(posts.map(post), limit: limit)
    var result: [String: JSONValue] = ["results": .array(kept)]
    if left > 0 { result["left_out"] = .integer(Int64(left)) }
    return .object(result)
  }

  /// The post and its comments. Where they are too much the oldest comments go first: the talk is about the newest.
  static func thread(_ thread: Post, limit: Int = limit) -> JSONValue {
    var shown = post(thread).object ?? [:]
    let room = limit - size(.object(shown))
    let (kept, left) = fitting((thread.comments ?? []).reversed().map(post), limit: room)
    shown["comments"] = .array(kept.reversed())
    if left > 0 { shown["older_comments_left_out"] = .integer(Int64(left)) }
    return .object(shown)
  }

  private static func post(_ post: Post) -> JSONValue {
    var shown: [String: JSONValue] = ["id": .string(post.id), "content": .string(post.content)]
    shown["title"] = post.title.map { .string($0) }
    shown["community"] = post.community.map { .string($0) }
    shown["parent_id"] = post.parent_id.map { .string($0) }
    shown["created_at"] = post.created_at.map { .string($0) }
    if let author = post.author {
      var person: [String: JSONValue] = ["id": .string(author.id)]
      person["name"] = author.name.map { .string($0) }
      shown["author"] = .object(person)
    }
    return .object(shown)
  }

  /// As many as fit, from the front, and how many did not.
  private static func fitting(_ values: [JSONValue], limit: Int) -> (kept: [JSONValue], left: Int) {
    var room = limit
    let kept = values.prefix { value in
      room -= size(value)
      return room >= 0
    }
    return (Array(kept), values.count - kept.count)
  }

  /// About how long it is as JSON.
  private static func size(_ value: JSONValue) -> Int {
    switch value {
    case .string(let text): text.utf8.count + 2
    case .array(let values): values.reduce(2) { $0 + size($1) + 1 }
    case .object(let members): members.reduce(2) { $0 + $1.key.utf8.count + 4 + size($1.value) }
    default: 8
    }
  }
}
