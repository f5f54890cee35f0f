import Linux
import Testing

@testable import Sandbox

/// A tree in memory.
private struct Tree {
  var directories: [String: [(name: String, entry: RootSource.Entry)]] = [:]
  var files: [String: [UInt8]] = [:]

  var source: RootSource {
    RootSource(
      label: "tree",
      entries: { [self] path throws(LinuxError) in
        guard let entries = directories[path] else { throw LinuxError("open", path, code: 2) }
        return entries
      },
      content: { [self] path, _ throws(LinuxError) in
        guard let content = files[path] else { throw LinuxError("open", path, code: 2) }
        return content
      })
  }
}

@Suite("Roots from a tree") struct RootPartsTests {
  private let directory = RootSource.Entry.directory(mode: 0o755)
  private func profile(scratch: [String] = ["/tmp", "/workspace"], workspace: String? = nil) throws -> Profile {
    var profile = try ProfileFile.parse(
      Array(TestProfile.text().utf8), file: "default.yaml", name: "default"
    ).profile
    profile.readOnly = []
    profile.scratch = scratch.map { Profile.Scratch(path: $0, size: 4096, inodes: 16) }
    profile.workspace = workspace.map { Profile.Workspace(path: $0, size: 1 << 20) }
    return profile
  }
  /// What a tree adds to a profile's root, as errors and plans show it.
  private func added(_ tree: Tree, _ profile: Profile) throws -> [String] {
    let own = RootPlan.make(profile: profile) { _ in nil }
    let all = try RootPlan.adding(tree.source, to: own, profile: profile)
    #expect(all.suffix(2) == [.emptyProc(at: "/proc"), .remountReadOnly])
    #expect(all.filter { !own.contains($0) }.count == all.count - own.count)
    return all.filter { !own.contains($0) }.map(\.description)
  }

  @Test func `Directories and files are attached, links made again, the rest doesn't show`() throws {
    let tree = Tree(directories: [
      "/": [
        ("bin", .symlink(target: "usr/bin")), ("kmem", .other), ("usr", directory), ("version", .file(mode: 0o4755)),
      ]
    ])
    #expect(
      try added(tree, profile()) == [
        "stage tree", "make symlink /bin -> usr/bin", "make directory /usr (755)", "attach its /usr read-only",
        "make file /version (444, 0 bytes)", "attach its /version read-only", "take the staged tree away",
      ])
  }

  @Test func `Nothing takes the place of what is ours`() throws {
    let link = RootSource.Entry.symlink(target: "/outside")
    let names = ["dev", "etc", "proc", "run", "sys", "tmp", "workspace", ".source"]
    for entry in [link, .other, .file(mode: 0o644)] {
      let tree = Tree(directories: ["/": names.map { ($0, entry) }])
      #expect(try added(tree, profile()) == ["stage tree", "take the staged tree away"])
    }
    // Directories are not even looked into, but for /etc.
    let tree = Tree(directories: ["/": names.map { ($0, directory) }, "/etc": []])
    #expect(try added(tree, profile()) == ["stage tree", "take the staged tree away"])
  }

  @Test func `Every directory on the way to a place of ours is ours, the tree's entries stand beside it`() throws {
    let tree = Tree(directories: [
      "/": [("home", directory), ("opt", .symlink(target: "/usr")), ("var", directory)],
      "/home": [("agent", .symlink(target: "/etc")), ("other", directory)],
      "/var": [("lib", directory)],
    ])
    let profile = try profile(scratch: ["/home/agent", "/opt/cache"], workspace: "/var/work")
    #expect(
      try added(tree, profile) == [
        "stage tree", "make directory /home/other (755)", "attach its /home/other read-only",
        "make directory /var/lib (755)", "attach its /var/lib read-only", "take the staged tree away",
      ])
  }

  @Test func `/etc is copied around our files, without set-id bits and devices`() throws {
    let tree = Tree(
      directories: [
        "/": [("etc", directory)],
        "/etc": [
          ("passwd", .symlink(target: "/outside")), ("hosts", directory), ("profile", .file(mode: 0o6755)),
          ("null", .other), ("ssl", directory), ("mtab", .symlink(target: "/proc/mounts")),
        ],
        "/etc/ssl": [("key", .file(mode: 0o600))],
      ], files: ["/etc/profile": [1, 2], "/etc/ssl/key": [3]])
    #expect(
      try added(tree, profile()) == [
        "stage tree", "make file /etc/profile (755, 2 bytes)", "make directory /etc/ssl (755)",
        "make file /etc/ssl/key (600, 1 bytes)", "make symlink /etc/mtab -> /proc/mounts", "take the staged tree away",
      ])
  }

  @Test func `A tree without end has one`() throws {
    let wide = Tree(directories: ["/": (0..<1001).map { ("\($0)", directory) }])
    #expect(#expect(throws: LinuxError.self) { try added(wide, profile()) }?.code == 7)
    var deep = Tree(directories: ["/": [("etc", directory)]])
    var path = "/etc"
    for _ in 0..<40 {
      deep.directories[path] = [("d", directory)]
      path += "/d"
    }
    #expect(#expect(throws: LinuxError.self) { try added(deep, profile()) }?.code == 40)
    let large = Tree(
      directories: ["/": [("etc", directory)], "/etc": (0..<9).map { ("\($0)", .file(mode: 0o644)) }],
      files: Dictionary(uniqueKeysWithValues: (0..<9).map { ("/etc/\($0)", [UInt8](repeating: 0, count: 1 << 20)) }))
    let error = #expect(throws: LinuxError.self) { try added(large, profile()) }
    #expect(
      error?.description
        == """
        lay out root tree at /etc/8: EFBIG (File too large); its /etc, which is copied, has more than 4096 files or 8 MiB
        """)
  }

  @Test func `Images are told apart by their magic numbers`() {
    var bytes = [UInt8](repeating: 0, count: 1028)
    #expect(ImageType(beginning: bytes) == nil)
    #expect(ImageType(beginning: []) == nil)
    bytes.replaceSubrange(1024..<1028, with: [0xE2, 0xE1, 0xF5, 0xE0])
    #expect(ImageType(beginning: bytes) == .erofs)
    bytes.replaceSubrange(0..<4, with: Array("hsqs".utf8))
    #expect(ImageType(beginning: bytes) == .squashfs)
  }
}
