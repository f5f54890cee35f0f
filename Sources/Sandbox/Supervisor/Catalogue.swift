import Linux
import Synchronization
import YAML

/// The profiles of one directory, each read and compiled once until its file changes.
final class Catalogue: Sendable {
  struct Entry: Sendable {
    var profile: Profile
    var digest: String
    /// The seccomp program.
    var filter: [UInt8]
  }
  private let directory: String
  private let entries = Mutex<[String: Entry]>([:])

  init(directory: String) { self.directory = directory }

  /// A profile by name. Names are the runner's, so they are looked at before they become a path.
  func entry(_ name: String) throws(SandboxRefused) -> Entry {
    guard !name.isEmpty, name.utf8.count <= 64,
      name.utf8.allSatisfy({ $0 == 45 || (48...57).contains($0) || (97...122).contains($0) })
    else { throw SandboxRefused("profile '\(name)' must be a name of small letters, digits and '-'") }
    if let entry = entries.withLock({ $0[name] }) { return entry }
    let path = "\(directory)/\(name).yaml"
    do {
      let bytes = try Descriptor.open(path).readAll(limit: 1 << 20)
      let loaded = try ProfileFile.parse(bytes, file: path, name: name)
      let entry = Entry(profile: loaded.profile, digest: loaded.digest, filter: try loaded.profile.syscalls.compile())
      entries.withLock { $0[name] = entry }
      return entry
    } catch let error as LinuxError where error.code == 2 {
      throw SandboxRefused("profile '\(name)' isn't there: \(path) doesn't exist; the profiles here are \(list())")
    } catch {
      throw SandboxRefused("profile '\(name)' can't be used: \(error)")
    }
  }

  /// Forgets what was read (SIGHUP).
  func reload() { entries.withLock { $0 = [:] } }

  private func list() -> String {
    let names = (try? Linux.files(in: directory)) ?? []
    return names.filter { $0.hasSuffix(".yaml") }.map { String($0.dropLast(5)) }.sorted().joined(separator: ", ")
  }
}
