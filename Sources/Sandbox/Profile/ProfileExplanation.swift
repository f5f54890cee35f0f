/// A resolved profile in words, grouped for a reader.
public enum ProfileExplanation {
  /// Rules of one kind.
  public struct Section: Sendable, Hashable {
    /// What they are about.
    public var title: String
    /// In the profile's order.
    public var lines: [Line]
  }
  /// A rule, or several of the same kind and place.
  public struct Line: Sendable, Hashable {
    /// `file:line`, or `default` where no file says so.
    public var place: String
    /// One clause.
    public var text: String
  }

  private static let titles: [(title: String, keys: Set<String>)] = [
    ("Files", ["root", "read_only", "scratch", "workspace"]),
    ("Who it is", ["uid", "gid", "hostname"]),
    ("Walls", ["network", "landlock", "cgroup"]),
    ("Environment", ["environment"]),
    ("/proc", ["masked", "read_only_proc"]),
  ]

  /// The profile's rules, each with its place.
  public static func sections(_ loaded: ProfileFile.Loaded) -> [Section] {
    let statements = loaded.profile.statements
    func title(_ rule: ProfileRule) -> String {
      if rule.key.hasPrefix("limits.") { return "Limits" }
      if rule.key.hasPrefix("syscalls.") { return "System calls" }
      return titles.first { $0.keys.contains(rule.key) }?.title ?? rule.key
    }
    var sections: [Section] = []
    for statement in statements {
      let name = title(statement.rule)
      if sections.last?.title != name { sections.append(Section(title: name, lines: [])) }
      let place = loaded.origins[statement.rule].map { "\($0.file):\($0.position.line)" } ?? "default"
      // One line for each line of the file: hundreds of calls are allowed.
      if statement.rule.key == "syscalls.allow", statement.value == "allowed" { continue }
      sections[sections.count - 1].lines.append(Line(place: place, text: statement.meaning))
    }
    if let index = sections.firstIndex(where: { $0.title == "System calls" }) {
      sections[index].lines.insert(contentsOf: allowed(loaded), at: 0)
    }
    return sections
  }

  private static func allowed(_ loaded: ProfileFile.Loaded) -> [Line] {
    let names = loaded.profile.syscalls.allowed
    let places = Dictionary(grouping: names) { loaded.origins[ProfileRule("syscalls.allow", $0)] }
    let ordered = places.sorted { left, right in
      (left.key?.file ?? "", left.key?.position.line ?? 0) < (right.key?.file ?? "", right.key?.position.line ?? 0)
    }
    var lines: [(file: String, number: Int, names: [String])] = []
    for (origin, names) in ordered {
      let (file, number) = (origin?.file ?? "default", origin?.position.line ?? 0)
      if let last = lines.last, last.file == file, last.number == number {
        lines[lines.count - 1].names += names
      } else {
        lines.append((file, number, names))
      }
    }
    return lines.map { line in
      Line(
        place: line.number == 0 ? line.file : "\(line.file):\(line.number)",
        text: "may be called with any arguments: \(line.names.sorted().joined(separator: ", "))")
    }
  }

  /// Differences as lines: `-` the first profile's, `+` the second's; calls that are only allowed in one of them together.
  public static func lines(of differences: [ProfileDifference]) -> [String] {
    var lines: [String] = []
    let isCall = { (difference: ProfileDifference) in difference.rule.key == "syscalls.allow" }
    for difference in differences where !isCall(difference) {
      let subject = difference.rule.key + (difference.rule.item.isEmpty ? "" : " \(difference.rule.item)")
      if let first = difference.first { lines.append("- \(subject): \(first)") }
      if let second = difference.second { lines.append("+ \(subject): \(second)") }
    }
    let calls = differences.filter(isCall)
    for (mark, names) in [
      ("-", calls.filter { $0.first != nil }), ("+", calls.filter { $0.second != nil }),
    ] where !names.isEmpty {
      lines.append("\(mark) syscalls.allow: \(names.map(\.rule.item).sorted().joined(separator: ", "))")
    }
    return lines
  }
}
