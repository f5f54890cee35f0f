import JSON
import Linux

/// What a run of the suite under some profiles came to.
package struct Report: Sendable {
  /// Of one profile.
  package struct Part: Sendable {
    package var profile: String
    package var findings: [Finding]

    /// Of a profile.
    package init(profile: String, findings: [Finding]) {
      self.profile = profile
      self.findings = findings
    }

    /// Tried.
    package var probes: Int { findings.count { $0.inside != nil } }
    /// The walls stood.
    package var held: Int { findings.count { $0.isHeld } }
    /// Their controls came through outside.
    package var controls: Int { findings.count { $0.inside != nil && $0.isBacked } }
    /// `profile: probes N, held N, controls N`
    package var line: String { "\(profile): probes \(probes), held \(held), controls \(controls)" }
  }
  package var parts: [Part]

  /// Puts a report together.
  package init(_ parts: [Part]) { self.parts = parts }

  /// Everything that is not as it should be, in words.
  package var troubles: [String] { parts.flatMap { $0.findings.compactMap(\.trouble) } }

  /// What can't be tried on this machine, and why: each once, with the profiles that miss it where not all do.
  package var unavailable: [String] {
    var reasons: [String: Set<String>] = [:]
    for finding in parts.flatMap(\.findings) {
      guard let reason = finding.unavailable else { continue }
      let what = finding.inside == nil ? "not tried" : "without control"
      reasons["\(finding.title): \(what): \(reason)", default: []].insert(finding.profile)
    }
    return reasons.sorted { $0.key < $1.key }.map { line, profiles in
      profiles.count == parts.count ? line : "\(line) (\(profiles.sorted().joined(separator: ", ")))"
    }
  }

  /// For a person, besides the line of each part.
  package var remarks: String {
    ((unavailable.isEmpty ? [] : ["can't run on this machine: \(unavailable.count)"] + unavailable.map { "  " + $0 })
      + troubles.map { "WRONG " + $0 }).joined(separator: "\n")
  }

  /// For a program.
  package var json: JSONValue {
    [
      "kernel": .string(KernelFeatures.release),
      "profiles": .array(parts.map(\.json)),
      "unavailable": .array(unavailable.map { .string($0) }),
      "wrong": .array(troubles.map { .string($0) }),
    ]
  }

  /// Writes the table between the markers of a Markdown file; without them, nothing is touched.
  package func write(into file: String) throws {
    let text = try readFile(file)
    guard let begin = text.firstRange(of: Self.begin), let end = text.firstRange(of: Self.end),
      begin.upperBound <= end.lowerBound
    else { throw GroundError("\(file) has no '\(Self.begin)' with '\(Self.end)' behind it") }
    let new = text[..<begin.upperBound] + "\n" + table + "\n" + text[end.lowerBound...]
    if new != text { try writeFile(file, String(new)) }
  }
  private static let begin = "<!-- hostile table -->"
  private static let end = "<!-- /hostile table -->"

  /// For docs/security.md: categories by profile. Nothing in it depends on when it was written, but for the
  /// last line on where.
  package var table: String {
    var lines = ["| | " + parts.map(\.profile).joined(separator: " | ") + " |"]
    lines.append("|---|" + parts.map { _ in "---|" }.joined())
    for category in Probe.Category.allCases {
      let cells = parts.map { part in
        Part(profile: part.profile, findings: part.findings.filter { $0.probe.category == category }).cell
      }
      lines.append(
        "| \(category == .works ? "what must work" : category.rawValue) | " + cells.joined(separator: " | ") + " |")
    }
    lines.append("| all | " + parts.map(\.cell).joined(separator: " | ") + " |")
    let untried = Set(parts.flatMap(\.findings).filter { $0.inside == nil }.map(\.probe.name)).sorted()
    lines.append("")
    lines.append(
      "Seen on Linux \(KernelFeatures.release)."
        + (untried.isEmpty
          ? "" : " Not tried there, for want of what would hold it: \(untried.joined(separator: "; "))."))
    return lines.joined(separator: "\n")
  }
}

extension Report.Part {
  /// Empty where the profile has no such probes.
  fileprivate var cell: String { findings.isEmpty ? "" : "\(held)/\(probes), \(controls)" }

  fileprivate var json: JSONValue {
    let categories = Probe.Category.allCases.map { category in
      let part = Report.Part(profile: profile, findings: findings.filter { $0.probe.category == category })
      return (category.rawValue, part.counts)
    }
    guard case .object(var fields) = counts else { return counts }
    fields["profile"] = .string(profile)
    fields["categories"] = .object(Dictionary(categories) { first, _ in first })
    return .object(fields)
  }

  private var counts: JSONValue {
    [
      "probes": .integer(Int64(probes)), "held": .integer(Int64(held)), "controls": .integer(Int64(controls)),
    ]
  }
}
