import Linux
import Synchronization

/// The profiles of one directory, each read and compiled once until its file changes.
final class Catalogue: Sendable {
  struct Entry: Sendable {
    var profile: Profile
    var digest: String
    /// The seccomp program.
    var filter: [UInt8]
  }
  private let source: ProfileSource
  private let entries = Mutex<[String: Entry]>([:])

  init(directory: String) { source = ProfileSource(directory: directory) }

  /// A profile by name. Names are the runner's, so they are looked at before they become a path.
  func entry(_ name: String) throws(SandboxRefused) -> Entry {
    if let entry = entries.withLock({ $0[name] }) { return entry }
    let entry: Entry
    do {
      let loaded = try ProfileFile.load(name, from: source)
      if let shortcoming = loaded.profile.shortcoming() { throw SandboxRefused("profile '\(name)' \(shortcoming)") }
      entry = Entry(profile: loaded.profile, digest: loaded.digest, filter: try loaded.profile.syscalls.compile())
    } catch let error as SandboxRefused {
      throw error
    } catch let error as ProfileError {
      throw SandboxRefused(error.description)
    } catch {
      throw SandboxRefused("profile '\(name)' can't be used: \(error)")
    }
    entries.withLock { $0[name] = entry }
    return entry
  }

  /// Forgets what was read (SIGHUP).
  func reload() { entries.withLock { $0 = [:] } }
}
