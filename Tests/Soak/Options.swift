import Glibc
import Linux

/// What is to be done.
struct Options: Sendable {
  enum Part: String, CaseIterable, Sendable { case row, points, random }
  /// Directory of the release build's programs.
  var release = ""
  /// Directory of the debug build's: it alone can stop at a named step.
  var debug = ""
  var profiles = "profiles"
  var sandboxes = 20_000
  var kills = 2_000
  /// Kills at each named step.
  var each = 20
  var parts = Set(Part.allCases)
  /// Of the named steps: those whose place in the list leaves this remainder.
  var slice = (index: 0, count: 1)

  var isOneBuild: Bool { release == debug }

  private static let usage = """
    usage: botburrow-soak --release DIRECTORY --debug DIRECTORY [--profiles DIRECTORY] [--sandboxes N] [--kills N]
             [--each N] [--part row|points|random]... [--slice I/N]
    The same directory twice: one build for all.
    """

  init(_ words: ArraySlice<String>) throws(SoakError) {
    var rest = words
    var chosen: Set<Part> = []
    while let name = rest.popFirst() {
      guard let value = rest.popFirst() else { throw SoakError(Self.usage) }
      func number() throws(SoakError) -> Int {
        guard let number = Int(value), number >= 0 else { throw SoakError("\(name) '\(value)' must be a number") }
        return number
      }
      switch name {
      case "--release": release = value
      case "--debug": debug = value
      case "--profiles": profiles = value
      case "--sandboxes": sandboxes = try number()
      case "--kills": kills = try number()
      case "--each": each = try number()
      case "--part":
        guard let part = Part(rawValue: value) else {
          throw SoakError("--part '\(value)' must be row, points or random")
        }
        chosen.insert(part)
      case "--slice":
        let numbers = value.split(separator: "/").compactMap { Int($0) }
        guard numbers.count == 2, numbers[1] > 0 else { throw SoakError("--slice '\(value)' must be I/N") }
        slice = (numbers[0], numbers[1])
      default: throw SoakError(Self.usage)
      }
    }
    if release.isEmpty || debug.isEmpty { throw SoakError(Self.usage) }
    if !chosen.isEmpty { parts = chosen }
  }
}

/// What was done, and what was left.
struct Tally {
  var sandboxes = 0
  /// By victim.
  var kills: [Victim: Int] = [:]
  var rows: [(what: String, figure: String)] = []
  private(set) var left: [String] = []

  mutating func leave(_ place: String, _ what: [String]) {
    for what in what {
      left.append("\(place): \(what)")
      progress("")
      writeText(STDERR_FILENO, "left: \(place): \(what)\n")
    }
  }

  func print() {
    Swift.print("| what | figure |\n| --- | ---: |")
    for row in rows { Swift.print("| \(row.what) | \(row.figure) |") }
    for victim in Victim.allCases { Swift.print("| killed: \(victim.rawValue) | \(kills[victim] ?? 0) |") }
    Swift.print("\nsoak: sandboxes \(sandboxes), kills \(kills.values.reduce(0, +)), left \(left.count)")
  }
}

func writeText(_ descriptor: Int32, _ text: String) { _ = write(descriptor, text, text.utf8.count) }

/// Only for somebody who watches.
func progress(_ text: String) {
  if isatty(STDERR_FILENO) != 0 { writeText(STDERR_FILENO, "\r\u{1B}[K\(text)") }
}
