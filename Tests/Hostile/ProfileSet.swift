import Glibc
import Linux
import Sandbox

/// The profiles that the suite's supervisor uses: copies of the shipped ones, and beside each the one that its sweep runs
/// under.
package struct ProfileSet: Sendable {
  /// What the neighbour sandbox is made of.
  static let neighbour = "default"
  /// By name, of those that are tested.
  let profiles: [String: Profile]

  /// The shipped ones' names, `default` first.
  package let shipped: [String]

  /// Copies every file, for a profile may name others beside it. `changed`: further profiles, by name.
  init(copying source: String, to target: String, changed: [String: String]) throws {
    mkdir(target, 0o755)
    for name in try files(in: source) {
      try Descriptor.open("\(target)/\(name)", O_WRONLY | O_CREAT, mode: 0o644)
        .write(try Descriptor.open("\(source)/\(name)").readAll(limit: 1 << 20))
    }
    for (name, text) in changed { try Self.write(text, "\(target)/\(name).yaml") }
    var profiles: [String: Profile] = [:]
    for name in try Self.names(target) { profiles[name] = try Self.read(name, in: target) }
    self.profiles = profiles
    shipped = profiles.keys.filter { changed[$0] == nil }.sorted {
      ($0 != "default" ? 1 : 0, $0) < ($1 != "default" ? 1 : 0, $1)
    }
    for profile in profiles.values {
      let sweep = Sweep.profile(profile)
      try Self.write(sweep.text, "\(target)/\(sweep.name).yaml")
    }
  }

  /// The profiles of a directory.
  package static func names(_ directory: String) throws -> [String] {
    try files(in: directory).filter { $0.hasSuffix(".yaml") }.map { String($0.dropLast(5)) }.sorted()
  }

  /// One of them, with all that it extends.
  package static func read(_ name: String, in directory: String) throws -> Profile {
    try ProfileFile.load(name, from: ProfileSource(directory: directory)).profile
  }

  private static func write(_ text: String, _ path: String) throws {
    try Descriptor.open(path, O_WRONLY | O_CREAT | O_TRUNC, mode: 0o644).write(Array(text.utf8))
  }
}
