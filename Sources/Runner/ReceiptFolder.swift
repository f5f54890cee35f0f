import Glibc
import JSON
import Linux

/// The directory of receipts: one JSON file an activation, `<activation_id>.json`.
public struct ReceiptFolder: Sendable, Hashable {
  /// Its path; it must exist and be writable.
  public var path: String

  /// Names a directory.
  public init(path: String) { self.path = path }

  /// The file of one activation.
  public func file(of activationID: String) -> String { "\(path)/\(activationID).json" }

  /// Writes a receipt so that a reader finds either all of it or what was there before.
  /// - Throws: `ReceiptError`, which names the file and the cause.
  public func write(_ receipt: JSONValue, activationID: String) throws(ReceiptError) {
    let file = file(of: activationID)
    // Beside it, so that the rename stays within one file system.
    let fresh = "\(path)/.\(activationID).json.new"
    do {
      let descriptor = try Descriptor.replacing(fresh, mode: 0o640)
      try descriptor.write(JSON.encode(receipt, pretty: true) + [UInt8(ascii: "\n")])
    } catch {
      throw ReceiptError("the receipt \(file) can't be written: \(error); does \(path) exist, and is it writable?")
    }
    guard rename(fresh, file) == 0 else {
      let reason = String(cString: strerror(errno))
      throw ReceiptError("the receipt \(file) can't be written: rename: \(reason)")
    }
  }
}

/// A receipt that could not be kept.
public struct ReceiptError: Error, Sendable, Hashable, CustomStringConvertible {
  /// One sentence.
  public let description: String
  /// Makes an error that reads as `description`.
  public init(_ description: String) { self.description = description }
}

extension Activation {
  /// The sandbox's receipt with what the runner knows beside it.
  func receipt(_ end: ActivationEnd) -> JSONValue {
    var receipt = end.sandbox?.json.object ?? [:]
    receipt["activation_id"] = .string(task.activationID)
    receipt["agent_id"] = .string(task.agentID)
    receipt["attempt"] = .integer(Int64(task.attempt))
    receipt["status"] = .string(end.status)
    receipt["duration_seconds"] = .number(end.seconds)
    receipt["finished_at"] = .number(services.time.wallClock())
    receipt["tool_type"] = .string(end.toolType)
    var asked: [String: JSONValue] = [
      "type": .string(task.type.rawValue), "notification_ids": .array(task.notificationIDs.map { .string($0) }),
    ]
    asked["post_id"] = task.postID.map { .string($0) }
    receipt["task"] = .object(asked)
    if !end.toolServers.isEmpty { receipt["tool_servers"] = .array(end.toolServers) }
    if let failure = end.failure { receipt["failure"] = .string(failure.description) }
    if let posted = end.posted { receipt["answer"] = describe(posted, end.answer) }
    if let consumption = end.consumption {
      receipt["consumption"] = [
        "tokens_input": .integer(Int64(consumption.tokens_input)),
        "tokens_output": .integer(Int64(consumption.tokens_output)), "cost_usd": .number(consumption.cost_usd),
        "duration_seconds": .number(consumption.duration_seconds),
      ]
    }
    receipt["effects"] = .array(
      (end.ran?.effects ?? []).map { effect in
        var shown: [String: JSONValue] = ["kind": .string(effect.kind.rawValue)]
        shown["id"] = effect.id.map { .string($0) }
        shown["post_id"] = effect.postID.map { .string($0) }
        return .object(shown)
      })
    return .object(receipt)
  }

  private func describe(_ posted: Posted, _ text: String?) -> JSONValue {
    var answer: [String: JSONValue] = ["characters": .integer(Int64(text?.count ?? 0))]
    switch posted {
    case .comment(let id):
      answer["posted"] = true
      answer["comment_id"] = id.map { .string($0) }
    case .earlier:
      answer["posted"] = true
      answer["note"] = "an earlier attempt of this activation had answered"
    case .waiting:
      answer["posted"] = false
      answer["note"] = "kept in the outbox; it is posted when the Hub takes it"
    case .nothing(let reason):
      answer["posted"] = false
      answer["reason"] = .string(reason.rawValue)
    }
    return .object(answer)
  }
}
