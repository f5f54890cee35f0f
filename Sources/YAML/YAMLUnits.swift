/// Durations and sizes as they are written in files, both ways.
public enum YAMLUnits {
  private static let durationUnits: [(name: String, milliseconds: Int64)] = [
    ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1),
  ]

  /// Reads `500ms`, `30s`, `5m`, `4h`, `2d` and sums from large to small such as `1h30m`; fractions such as `1.5s` down
  /// to a millisecond. Nil for anything else, also for a bare number.
  public static func duration(_ text: String) -> Duration? {
    var rest = text[...]
    var total: Int64 = 0
    var lastUnit = durationUnits.startIndex - 1
    while !rest.isEmpty {
      let number = rest.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
      rest = rest.dropFirst(number.count)
      let name = rest.prefix { $0.isASCII && $0.isLetter }
      rest = rest.dropFirst(name.count)
      guard let unit = durationUnits.firstIndex(where: { $0.name == name }), unit > lastUnit,
        let part = milliseconds(number, durationUnits[unit].milliseconds)
      else { return nil }
      lastUnit = unit
      let (sum, overflow) = total.addingReportingOverflow(part)
      guard !overflow else { return nil }
      total = sum
    }
    return text.isEmpty ? nil : .milliseconds(total)
  }

  private static func milliseconds(_ number: Substring, _ unit: Int64) -> Int64? {
    let parts = number.split(separator: ".", omittingEmptySubsequences: false)
    guard let whole = parts.first.flatMap({ Int64($0) }), parts.count <= 2 else { return nil }
    let (product, overflow) = whole.multipliedReportingOverflow(by: unit)
    guard !overflow else { return nil }
    guard parts.count == 2 else { return product }
    guard (1...3).contains(parts[1].count), let digits = Int64(parts[1]) else { return nil }
    let scale: Int64 = [10, 100, 1000][parts[1].count - 1]
    // Less than a millisecond can't be meant.
    guard (digits * unit) % scale == 0 else { return nil }
    return product + digits * unit / scale
  }

  /// Reads `512M`, `1GiB`, `64k` (powers of 1024), `10MB` (powers of 1000) or a bare number of bytes; nil for anything else.
  public static func byteSize(_ text: String) -> Int? {
    let number = text.prefix { $0.isASCII && $0.isNumber }
    guard let count = Int(number) else { return nil }
    let units: [String: Int] = [
      "": 1, "b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40, "kib": 1 << 10, "mib": 1 << 20,
      "gib": 1 << 30, "tib": 1 << 40, "kb": 1000, "mb": 1_000_000, "gb": 1_000_000_000, "tb": 1_000_000_000_000,
    ]
    guard let unit = units[text.dropFirst(number.count).lowercased()] else { return nil }
    let (bytes, overflow) = count.multipliedReportingOverflow(by: unit)
    return overflow ? nil : bytes
  }

  /// Writes a duration the way `duration` reads it, to the millisecond.
  public static func text(_ duration: Duration) -> String {
    let (seconds, attoseconds) = duration.components
    var rest = seconds * 1000 + attoseconds / 1_000_000_000_000_000
    var text = ""
    for unit in durationUnits where rest >= unit.milliseconds {
      text += "\(rest / unit.milliseconds)\(unit.name)"
      rest %= unit.milliseconds
    }
    return text.isEmpty ? "0s" : text
  }

  /// Writes a size the way `byteSize` reads it, in the largest unit of 1024 that divides it.
  public static func text(byteSize bytes: Int) -> String {
    for (name, unit) in [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)]
    where bytes > 0 && bytes % unit == 0 {
      return "\(bytes / unit)\(name)"
    }
    return "\(bytes)"
  }

  /// `2` instead of `2.0`.
  static func text(_ number: Double) -> String {
    Int(exactly: number).map { "\($0)" } ?? "\(number)"
  }

  static func bounds<Value: Comparable>(_ range: ClosedRange<Value>, _ text: (Value) -> String) -> String {
    if let top = range.upperBound as? Int, top == .max { return "at least \(text(range.lowerBound))" }
    return "between \(text(range.lowerBound)) and \(text(range.upperBound))"
  }
}
