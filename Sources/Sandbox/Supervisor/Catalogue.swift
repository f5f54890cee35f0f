import Linux
import Synchronization

/// The profiles of one directory, each read and compiled once until its file changes; and what requests make of them.
final class Catalogue: Sendable {
  struct Entry: Sendable {
    var profile: Profile
    var digest: String
    /// The seccomp program.
    var filter: [UInt8]
    /// What a request hides besides what the profile hides.
    var masked: [Plan.Ground.Covered] = []
  }
  private struct Variant: Hashable {
    var name: String
    var tightening: Tightening
  }
  private let source: ProfileSource
  private let entries = Mutex<[String: Entry]>([:])
  private let variants = Mutex<[Variant: Entry]>([:])
  /// Requests are a runner's words: it may make up as many as it likes, so only so many are kept.
  private static let variantLimit = 256

  init(directory: String) { source = ProfileSource(directory: directory) }

  /// A profile by name, less what is given up. Names are the runner's, so they are looked at before they become a path.
  func entry(_ name: String, _ tightening: Tightening? = nil) throws(SandboxRefused) -> Entry {
    let base = try entry(named: name)
    guard let tightening, tightening != Tightening() else { return base }
    let variant = Variant(name: name, tightening: tightening)
    if let entry = variants.withLock({ $0[variant] }), entry.digest == base.digest { return entry }
    let entry = try tighten(base, tightening)
    variants.withLock { variants in
      if variants.count >= Self.variantLimit { variants = [:] }
      variants[variant] = entry
    }
    return entry
  }

  private func entry(named name: String) throws(SandboxRefused) -> Entry {
    if let entry = entries.withLock({ $0[name] }) { return entry }
    let entry: Entry
    do {
      try Faults.point("read profile")
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

  private func tighten(_ base: Entry, _ tightening: Tightening) throws(SandboxRefused) -> Entry {
    var entry = base
    entry.profile = base.profile.tightened(by: tightening)
    if let shortcoming = entry.profile.shortcoming() {
      throw SandboxRefused("the request on profile '\(base.profile.name)' \(shortcoming)")
    }
    if !tightening.denied.isEmpty {
      do throws(SeccompError) { entry.filter = try entry.profile.syscalls.compile() } catch {
        throw SandboxRefused("the request's denied calls can't be compiled: \(error)")
      }
    }
    for path in tightening.masked where base.profile.shows(path) {
      // What shows inside is of the same kind outside: /proc by name, the rest because it is the same file.
      switch pathKind(path) {
      case .directory: entry.masked.append(.maskedDirectory(path))
      case .file: entry.masked.append(.maskedFile(path))
      case .symlink(let target):
        throw SandboxRefused("masked path '\(path)' is a symbolic link; name what it leads to: \(target)")
      case nil: break
      }
    }
    return entry
  }

  /// Forgets what was read (SIGHUP).
  func reload() {
    entries.withLock { $0 = [:] }
    variants.withLock { $0 = [:] }
  }
}
