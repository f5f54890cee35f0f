import Glibc
import Testing

@testable import Linux

@Suite("Directories in which others may write") struct TreeTests {
  private let place: String

  init() throws {
    var template = Array("/tmp/botburrow-tree-XXXXXX".utf8CString)
    _ = try #require(mkdtemp(&template))
    place = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  @Test func `A tree is removed, what its links point to is not`() throws {
    let own = (uid: getuid(), gid: getgid())
    try makeDirectory("\(place)/kept", owner: own, mode: 0o755)
    try Descriptor.replacing("\(place)/kept/file", mode: 0o600).write("x".utf8)
    try makeDirectory("\(place)/tree", owner: own, mode: 0o755)
    try makeDirectory("\(place)/tree/inner", owner: own, mode: 0o755)
    try Descriptor.replacing("\(place)/tree/inner/file", mode: 0o600).write("x".utf8)
    #expect(symlink("\(place)/kept", "\(place)/tree/link") == 0)
    #expect(symlink("\(place)/kept", "\(place)/tree/inner/link") == 0)
    try removeTree("\(place)/tree")
    #expect(access("\(place)/tree", F_OK) < 0)
    #expect(try readFile("\(place)/kept/file") == "x")
    // A link in the tree's own place is not followed either.
    #expect(symlink("\(place)/kept", "\(place)/tree") == 0)
    #expect(throws: LinuxError.self) { try removeTree("\(place)/tree") }
    #expect(try readFile("\(place)/kept/file") == "x")
    try removeTree(place)
    try removeTree(place)
  }

  @Test func `A link in a directory's place keeps its target's owner and mode`() throws {
    let own = (uid: getuid(), gid: getgid())
    try makeDirectory("\(place)/target", owner: own, mode: 0o700)
    #expect(symlink("\(place)/target", "\(place)/link") == 0)
    let error = #expect(throws: LinuxError.self) { try makeDirectory("\(place)/link", owner: own, mode: 0o777) }
    #expect(
      error?.description
        == "open \(place)/link: ENOTDIR (Not a directory); something that is no directory of ours is in its place; move it"
    )
    var status = stat()
    #expect(stat("\(place)/target", &status) == 0)
    #expect(status.st_mode & 0o7777 == 0o700)
    try makeDirectory("\(place)/link", owner: own, mode: 0o1770, followsLink: true)
    #expect(stat("\(place)/target", &status) == 0)
    #expect(status.st_mode & 0o7777 == 0o1770)
    try removeTree(place)
  }

  @Test func `A file takes the place of a link`() throws {
    try Descriptor.replacing("\(place)/target", mode: 0o600).write("old".utf8)
    #expect(symlink("\(place)/target", "\(place)/file") == 0)
    try Descriptor.replacing("\(place)/file", mode: 0o600).write("new".utf8)
    #expect(try readFile("\(place)/target") == "old")
    #expect(try readFile("\(place)/file") == "new")
    try removeTree(place)
  }
}
