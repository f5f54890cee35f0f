import JSON
import Linux

extension Denials {
  /// As it stands in receipts under `network`: what was refused, most first.
  var json: [String: JSONValue] {
    let sorted = destinations.sorted { $0.packets > $1.packets }
    return [
      "denied": .array(
        sorted.map { destination in
          [
            "destination": .string(destination.address), "port": .integer(Int64(destination.port)),
            "protocol": .string(destination.transport), "packets": .integer(Int64(clamping: destination.packets)),
          ]
        }),
      "denied_overflow": .integer(Int64(clamping: overflow)),
    ]
  }
}

/// What a receipt says of denied packets, in a line for the log and a number for the metric.
public struct DeniedSummary: Sendable, Hashable {
  /// All packets that were refused.
  public var packets: Int64
  /// Destinations that were counted one by one.
  public var destinations: Int
  /// The first few, with their counts: `203.0.113.9:443/tcp ×3, …`.
  public var text: String

  /// From a receipt; nil where nothing was denied.
  public init?(receipt: JSONValue) {
    let denied = receipt["network"]?["denied"]?.array ?? []
    let overflow = receipt["network"]?["denied_overflow"]?.integer ?? 0
    packets = denied.reduce(overflow) { $0 + ($1["packets"]?.integer ?? 0) }
    destinations = denied.count
    if packets == 0 { return nil }
    text = denied.prefix(Self.shown).map { "\(Self.place($0)) ×\($0["packets"]?.integer ?? 0)" }.joined(separator: ", ")
    if denied.count > Self.shown || overflow > 0 { text += ", …" }
  }

  /// A log line is for reading; the receipt has all of them.
  private static let shown = 8

  /// One destination as a person writes it: `203.0.113.9:443/tcp`, `[fd00::1]:53/udp`, `203.0.113.10/icmp`.
  static func place(_ denied: JSONValue) -> String {
    let address = denied["destination"]?.string ?? "?"
    let port = denied["port"]?.integer ?? 0
    let transport = denied["protocol"]?.string ?? "?"
    if port == 0 { return "\(address)/\(transport)" }
    return (address.contains(":") ? "[\(address)]" : address) + ":\(port)/\(transport)"
  }
}
