import Synchronization

/// The metrics of one process: counters, gauges and histograms, exposed as Prometheus text.
///
/// Names come from `MetricDescription.all` and the descriptions given at start; what is not described is not exposed but
/// counted in `botburrow_metrics_misuse_total`, so that a typing error shows without stopping an activation.
public final class Metrics: Sendable {
  /// One metric holds at most this many series. Label values that come later are added up in one series whose labels all
  /// read `other`, so that no outside input (agent names, reasons) can make the process grow without bound.
  public static let seriesLimit = 1000
  /// The label value of everything over the limit.
  public static let overflowLabel = "other"

  private struct Series {
    var value = 0.0
    var bucketCounts: [UInt64] = []
    var count: UInt64 = 0
  }
  private struct State {
    var series: [String: [[String]: Series]] = [:]
    var overflowed: [String: UInt64] = [:]
    var misused: UInt64 = 0
  }

  private let descriptions: [String: MetricDescription]
  private let limit: Int
  private let state = Mutex(State())

  /// A registry of the system's metrics and `extra` ones; `seriesLimit` as above.
  public init(extra: [MetricDescription] = [], seriesLimit: Int = Metrics.seriesLimit) {
    descriptions = Dictionary((MetricDescription.all + extra).map { ($0.name, $0) }) { _, last in last }
    limit = max(1, seriesLimit)
  }

  /// Adds to a counter. `name` as exposed (`botburrow_activations_total`); a negative or not finite amount is misuse.
  public func increment(_ name: String, _ labels: [(String, String)] = [], by amount: Double = 1) {
    update(name, .counter, labels, accept: amount.isFinite && amount >= 0) { series, _ in series.value += amount }
  }

  /// Sets a gauge.
  public func set(_ name: String, _ labels: [(String, String)] = [], to value: Double) {
    update(name, .gauge, labels, accept: !value.isNaN) { series, _ in series.value = value }
  }

  /// Records into a histogram (seconds).
  public func observe(_ name: String, _ labels: [(String, String)] = [], _ value: Double) {
    update(name, .histogram, labels, accept: value.isFinite) { series, buckets in
      if series.bucketCounts.isEmpty { series.bucketCounts = Array(repeating: 0, count: buckets.count) }
      if let bucket = buckets.firstIndex(where: { value <= $0 }) { series.bucketCounts[bucket] += 1 }
      series.count += 1
      series.value += value
    }
  }

  /// The text exposition format 0.0.4, with HELP and TYPE lines, metrics and series in a stable order.
  public func exposition() -> String {
    let state = state.withLock { $0 }
    var text = ""
    for description in descriptions.values.sorted(by: { $0.name < $1.name }) {
      guard let all = state.series[description.name] else { continue }
      Self.write(description, all, to: &text)
    }
    let own: [(MetricDescription, [[String]: Series])] = [
      (
        MetricDescription(
          "botburrow_metrics_misuse_total", .counter, "Updates of metrics that are not described so; a defect."),
        [[]: Series(value: Double(state.misused))]
      ),
      (
        MetricDescription(
          "botburrow_metrics_overflow_total", .counter, "Updates that went to a metric's 'other' series.",
          labels: ["metric"]),
        Dictionary(uniqueKeysWithValues: state.overflowed.map { ([$0.key], Series(value: Double($0.value))) })
      ),
    ]
    for (description, all) in own where !all.isEmpty { Self.write(description, all, to: &text) }
    return text
  }

  private func update(
    _ name: String, _ kind: MetricDescription.Kind, _ labels: [(String, String)], accept: Bool,
    _ change: (inout Series, [Double]) -> Void
  ) {
    guard accept, let description = descriptions[name], description.kind == kind,
      let values = Self.values(labels, description.labels)
    else { return state.withLock { $0.misused += 1 } }
    state.withLock { state in
      var key = values
      if state.series[name]?[values] == nil, (state.series[name]?.count ?? 0) >= limit, !values.isEmpty {
        key = values.map { _ in Self.overflowLabel }
        state.overflowed[name, default: 0] += 1
      }
      change(&state.series[name, default: [:]][key, default: Series()], description.buckets)
    }
  }

  /// The values in the order of the description; nil where the names are not exactly the described ones.
  private static func values(_ labels: [(String, String)], _ names: [String]) -> [String]? {
    guard labels.count == names.count else { return nil }
    var values: [String] = []
    for name in names {
      guard let value = labels.first(where: { $0.0 == name })?.1 else { return nil }
      values.append(value)
    }
    return values
  }

  private static func write(_ description: MetricDescription, _ all: [[String]: Series], to text: inout String) {
    let (name, names) = (description.name, description.labels)
    text += "# HELP \(name) \(escape(description.help, quotes: false))\n# TYPE \(name) \(description.kind.rawValue)\n"
    for (values, series) in all.sorted(by: { $0.key.lexicographicallyPrecedes($1.key) }) {
      let labels = zip(names, values).map { (name: $0, value: $1) }
      guard description.kind == .histogram else {
        text += "\(name)\(block(labels)) \(number(series.value))\n"
        continue
      }
      var below: UInt64 = 0
      for (bound, count) in zip(description.buckets, series.bucketCounts) {
        below += count
        text += "\(name)_bucket\(block(labels + [(name: "le", value: number(bound))])) \(below)\n"
      }
      text += "\(name)_bucket\(block(labels + [(name: "le", value: "+Inf")])) \(series.count)\n"
      text += "\(name)_sum\(block(labels)) \(number(series.value))\n"
      text += "\(name)_count\(block(labels)) \(series.count)\n"
    }
  }

  private static func block(_ labels: [(name: String, value: String)]) -> String {
    guard !labels.isEmpty else { return "" }
    return "{" + labels.map { "\($0.name)=\"\(escape($0.value, quotes: true))\"" }.joined(separator: ",") + "}"
  }

  private static func escape(_ text: String, quotes: Bool) -> String {
    var escaped = ""
    // By Unicode scalar: a carriage return and line feed are one Character.
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\\": escaped += "\\\\"
      case "\n": escaped += "\\n"
      case "\"" where quotes: escaped += "\\\""
      default: escaped.unicodeScalars.append(scalar)
      }
    }
    return escaped
  }

  private static func number(_ value: Double) -> String {
    if value == .infinity { return "+Inf" }
    if value == -.infinity { return "-Inf" }
    if let whole = Int64(exactly: value) { return String(whole) }
    return "\(value)"
  }
}
