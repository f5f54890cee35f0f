/// Many files become few directories, by one rule: a directory with more than `width` needed entries of its own is shown as
/// a whole, unless it is a place where many parties keep their things.
enum PathReduction {
  static let width = 3

  /// What was needed below one entry of the result.
  struct Entry: Hashable {
    var path: String
    /// Needed paths in it, itself included.
    var needed: [String]
  }

  /// - Parameters:
  ///   - paths: absolute, clean.
  ///   - whole: those that are directories whose entries were listed: nothing less will do.
  static func reduce(_ paths: Set<String>, whole: Set<String>) -> [Entry] {
    let root = Node()
    for path in paths {
      root.insert(path.split(separator: "/").map(String.init)[...], path: path, isWhole: whole.contains(path))
    }
    return root.reduced(path: "").sorted { $0.path < $1.path }
  }

  /// `/`, what lies directly below it, and homes: other people's files stand beside the one that was needed.
  static func isShared(_ path: String) -> Bool {
    let parts = path.split(separator: "/")
    if parts.count <= 1 { return true }
    return parts.count == 2 && ["home", "media", "mnt", "run", "usr", "var"].contains(parts[0])
  }

  private final class Node {
    var children: [String: Node] = [:]
    var needed: String?
    var isWhole = false

    func insert(_ parts: ArraySlice<String>, path: String, isWhole: Bool) {
      guard let first = parts.first else {
        needed = path
        self.isWhole = self.isWhole || isWhole
        return
      }
      let child = children[first] ?? Node()
      children[first] = child
      child.insert(parts.dropFirst(), path: path, isWhole: isWhole)
    }

    func all() -> [String] { (needed.map { [$0] } ?? []) + children.values.flatMap { $0.all() } }

    func reduced(path: String) -> [Entry] {
      if isWhole, !PathReduction.isShared(path) { return [Entry(path: path, needed: all().sorted())] }
      let below = children.flatMap { $1.reduced(path: path + "/" + $0) }
      if below.count > PathReduction.width, !PathReduction.isShared(path) {
        return [Entry(path: path, needed: all().sorted())]
      }
      return (needed.map { [Entry(path: $0, needed: [$0])] } ?? []) + below
    }
  }
}
