import Linux
import Sandbox

extension LearnedProfile {
  /// Sorts every path of the recording into where a sandbox shows it; what it shows nowhere is added.
  mutating func learnPaths(
    _ recording: Recording, _ base: Profile, _ surroundings: Surroundings, _ options: Options
  ) {
    let inside = Inside(profile: base)
    var used: Set<String> = []
    var needed: Set<String> = []
    var whole: Set<String> = []
    var written: Set<String> = []
    var looked: Set<String> = []
    var hidden: [String: [String]] = [:]
    let paths = recording.paths.filter {
      !isWithin($0.key, surroundings.workspace) && !isWithin($0.key, surroundings.temporary)
    }
    for (path, record) in paths {
      let place = inside.place(path)
      switch place {
      case .readOnly(let entry): used.insert(entry)
      case .scratch(let directory): used.insert(directory)
      case .own, .never, .identifying, .nowhere: break
      }
      if record.uses.contains(.written) {
        if place == .nowhere { written.insert(path) }
        if case .readOnly = place { hidden["writes to, which are read-only inside:", default: []].append(path) }
        continue
      }
      if record.uses.isDisjoint(with: [.read, .executed]) && !options.shownPaths.contains(path) {
        // A directory on the way to something is made with it.
        if place == .nowhere, record.kind != .directory, record.kind != nil { looked.insert(path) }
        continue
      }
      switch place {
      case .nowhere where PathReduction.isShared(path):
        hidden["lists, which inside have only what the profile shows:", default: []].append(path)
      case .nowhere where !record.isPublic:
        hidden["reads, which not everybody may read, so that a sandbox's user could not:", default: []].append(path)
      case .nowhere:
        needed.insert(path)
        if record.kind == .directory { whole.insert(path) }
      case .scratch where record.kind == .file:
        hidden[
          "reads, which lie in a directory that is empty inside (put them elsewhere, such as /opt or /srv):",
          default: []
        ]
        .append(path)
      case .never: hidden["reads, which no sandbox shows:", default: []].append(path)
      case .identifying:
        hidden["reads, which would tell which host this is, and is not added:", default: []].append(path)
      case .scratch, .readOnly, .own: break
      }
    }
    for link in recording.links.keys where !isWithin(link, surroundings.workspace) {
      switch inside.place(link) {
      case .readOnly(let entry): used.insert(entry)
      case .nowhere where !PathReduction.isShared(link) || link.split(separator: "/").count == 1: needed.insert(link)
      default: break
      }
    }
    keepReadOnly(needed, whole, recording)
    addScratch(written, inside, recording)
    lookedAt = looked.filter { path in !readOnly.contains { isWithin(path, $0.value) } }.sorted()
    for (what, paths) in hidden.sorted(by: { $0.key < $1.key }) { notes.append(Self.sentence(what, paths.sorted())) }
    if !options.keepsUnused { removeUnused(base, used, surroundings) }
  }

  private mutating func keepReadOnly(_ needed: Set<String>, _ whole: Set<String>, _ recording: Recording) {
    for entry in PathReduction.reduce(needed, whole: whole) {
      let first = entry.needed.first ?? entry.path
      let use = recording.paths[first]?.first ?? recording.links[first]
      let program = use?.program ?? "?"
      let count = entry.needed.count
      let reason: String
      if entry.needed == [entry.path] {
        let isRun = recording.paths[first]?.uses.contains(.executed) == true
        let isLink = recording.links[first] != nil
        reason = isLink ? "\(program): a link on the way" : isRun ? "\(program): run" : "\(program): read"
      } else {
        reason = "\(program): \(count) paths in it, such as \(first)"
      }
      readOnly.append(Addition(entry.path, reason))
    }
  }

  /// A directory of its own for what is written elsewhere, where that hides nothing that is read.
  private mutating func addScratch(_ written: Set<String>, _ inside: Inside, _ recording: Recording) {
    for path in written.sorted() {
      let directory = recording.paths[path]?.kind == .directory ? path : parentPath(path)
      if scratch.contains(where: { isWithin(directory, $0.value) }) { continue }
      let hides = readOnly.contains { isWithin($0.value, directory) || isWithin(directory, $0.value) }
      if PathReduction.isShared(directory) || hides || inside.isParent(directory) {
        notes.append("\(path) is written, and nothing inside can be written there; let the command write elsewhere.")
      } else {
        let program = recording.paths[path]?.first.program ?? "?"
        scratch.append(Addition(directory, "\(program): \(path)"))
      }
    }
  }

  private mutating func removeUnused(_ base: Profile, _ used: Set<String>, _ surroundings: Surroundings) {
    removedReadOnly = base.readOnly.map(\.path).filter { !used.contains($0) }.sorted()
    let kept = ["HOME", "TMPDIR"].compactMap { base.environment[$0] } + ["/tmp"]
    removedScratch = base.scratch.map(\.path).filter { path in
      !used.contains(path) && !kept.contains { isWithin($0, path) }
    }.sorted()
  }

  /// The first few of many.
  private static func sentence(_ what: String, _ paths: [String]) -> String {
    let shown = paths.prefix(8).joined(separator: " ")
    return "\(what) \(shown)" + (paths.count > 8 ? " and \(paths.count - 8) more" : "")
  }
}
