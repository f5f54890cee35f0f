import Testing

@testable import Learn

/// Where paths lead and what calls do with them, by values.
@Suite struct PathTests {
  /// A file system of values.
  struct Files {
    var entries: [String: FileEntry] = ["/": FileEntry(.directory)]

    init(_ paths: [String], links: [String: String] = [:]) {
      for path in paths { add(path, FileEntry(path.hasSuffix("/") ? .directory : .file)) }
      for (path, target) in links { add(path, FileEntry(.link(target: target), mode: 0o777)) }
    }

    private mutating func add(_ path: String, _ entry: FileEntry) {
      let parts = path.split(separator: "/").map(String.init)
      for count in 1..<max(parts.count, 1) {
        let parent = "/" + parts[..<count].joined(separator: "/")
        if entries[parent] == nil { entries[parent] = FileEntry(.directory) }
      }
      entries["/" + parts.joined(separator: "/")] = entry
    }

    func walk(_ path: String, from base: String = "/", followsLast: Bool = true, uid: UInt32 = 1000) -> PathWalk? {
      PathWalk.follow(path, from: base, followsLast: followsLast, as: Identity(uid: uid, gid: uid)) { entries[$0] }
    }
  }

  @Test func linksOnTheWayAreNamed() throws {
    let files = Files(
      ["/usr/lib/x.so.1", "/usr/bin/python3.11"],
      links: ["/lib": "usr/lib", "/usr/lib/x.so": "x.so.1", "/usr/bin/python3": "/usr/bin/python3.11"])
    let library = try #require(files.walk("/lib/x.so"))
    #expect(library.links == ["/lib", "/usr/lib/x.so"])
    #expect(library.path == "/usr/lib/x.so.1")
    #expect(library.entry?.kind == .file)
    #expect(files.walk("/usr/bin/python3")?.links == ["/usr/bin/python3"])
    let link = try #require(files.walk("/usr/bin/python3", followsLast: false))
    #expect(link.links == [])
    #expect(link.path == "/usr/bin/python3")
  }

  @Test func dotsAndRelativePaths() throws {
    let files = Files(["/a/b/c", "/a/d"], links: ["/l": "/a/b"])
    #expect(files.walk("../d", from: "/a/b")?.path == "/a/d")
    #expect(files.walk("./b//c", from: "/a")?.path == "/a/b/c")
    // As the kernel does: '..' leaves the directory that the link led to.
    #expect(files.walk("/l/../d")?.path == "/a/d")
    #expect(files.walk("/../..")?.path == "/")
  }

  @Test func whatIsNotThere() throws {
    let files = Files(["/a/b"], links: ["/round": "/round", "/dangling": "/no/where"])
    let new = try #require(files.walk("/a/new"))
    #expect(new.path == "/a/new")
    #expect(new.entry == nil)
    #expect(new.parent?.kind == .directory)
    #expect(files.walk("/no/where") == nil)
    #expect(files.walk("/dangling") == nil)
    #expect(files.walk("/round") == nil)
    #expect(files.walk("/a/b/c") == nil)
  }

  @Test func permissionsCount() throws {
    var files = Files(["/root/x"])
    files.entries["/root"] = FileEntry(.directory, mode: 0o700)
    #expect(files.walk("/root/x") == nil)
    #expect(files.walk("/root/x", uid: 0)?.path == "/root/x")
    let entry = FileEntry(.file, mode: 0o640, uid: 7, gid: 8)
    #expect(Identity(uid: 7, gid: 1).may(2, entry))
    #expect(Identity(uid: 1, gid: 8).may(4, entry))
    #expect(!Identity(uid: 1, gid: 8).may(2, entry))
    #expect(!Identity(uid: 1, gid: 1).may(4, entry))
  }

  @Test func procIsLeftAsItIs() {
    // Resolved here it would be this process's.
    #expect(Files(["/proc/"]).walk("/proc/self/exe")?.path == "/proc/self/exe")
  }

  @Test func flagsOfOpen() throws {
    let open = try #require(PathArgument.ofCall["openat"]?.first)
    #expect(open.uses(flags: 0).uses == .read)
    #expect(open.uses(flags: 0).follows)
    #expect(open.uses(flags: 0o1).uses == .written)
    #expect(open.uses(flags: 0o2).uses == [.read, .written])
    #expect(open.uses(flags: 0o100).uses == [.read, .written])
    #expect(open.uses(flags: 0o10000000).uses == .looked)
    #expect(!open.uses(flags: 0o400000).follows)
    #expect(!open.uses(flags: 0o301).follows)
    let status = try #require(PathArgument.ofCall["newfstatat"]?.first)
    #expect(status.uses(flags: 0x100).follows == false)
    #expect(status.uses(flags: 0).uses == .looked)
  }

  @Test func theInterpretersOfScripts() {
    func named(_ text: String) -> String? { Interpreters.named(in: Array(text.utf8)) }
    #expect(named("#!/bin/sh\necho") == "/bin/sh")
    #expect(named("#! /usr/bin/env python3\n") == "/usr/bin/env")
    #expect(named("#!\n") == nil)
    #expect(named("echo") == nil)
    #expect(named("") == nil)
  }

  @Test func theLoadersOfPrograms() {
    var head = [UInt8](repeating: 0, count: 200)
    head.replaceSubrange(0..<6, with: [0x7f, 0x45, 0x4c, 0x46, 2, 1])
    // One program header of 56 bytes at 64: PT_INTERP, 7 bytes at 128.
    (head[32], head[54], head[56]) = (64, 56, 1)
    (head[64], head[72], head[96]) = (3, 128, 7)
    head.replaceSubrange(128..<135, with: Array("/ld.so\0".utf8))
    #expect(Interpreters.named(in: head) == "/ld.so")
    for length in 0..<135 { _ = Interpreters.named(in: Array(head[..<length])) }
    // Numbers of strangers: an offset near the end of all.
    for index in 72..<80 { head[index] = 0xff }
    #expect(Interpreters.named(in: head) == nil)
    // A static program has none.
    head[64] = 1
    #expect(Interpreters.named(in: head) == nil)
  }

  @Test func socketAddresses() {
    #expect(
      Recording.Endpoint(socketAddress: [2, 0, 0x1f, 0x90, 127, 0, 0, 1]) == .init(address: "127.0.0.1", port: 8080))
    var six: [UInt8] = [10, 0, 0, 80] + [UInt8](repeating: 0, count: 24)
    six[23] = 1
    #expect(Recording.Endpoint(socketAddress: six)?.description == "[::1]:80")
    #expect(Recording.Endpoint(socketAddress: [1, 0] + Array("/run/x\0".utf8))?.description == "unix:/run/x")
    #expect(Recording.Endpoint(socketAddress: [1, 0, 0] + Array("x".utf8))?.address == "@x")
    #expect(Recording.Endpoint(socketAddress: [16, 0, 0, 0]) == nil)
    #expect(Recording.Endpoint(socketAddress: [2]) == nil)
  }

  @Test func manyFilesBecomeADirectory() {
    func reduced(_ paths: [String], whole: Set<String> = []) -> [String] {
      PathReduction.reduce(Set(paths), whole: whole).map(\.path)
    }
    // Up to three stay as they are.
    #expect(reduced(["/srv/a/1", "/srv/a/2", "/srv/a/3"]) == ["/srv/a/1", "/srv/a/2", "/srv/a/3"])
    #expect(reduced((1...4).map { "/srv/a/\($0)" }) == ["/srv/a"])
    // A listed directory is needed as it is.
    #expect(reduced(["/srv/a", "/srv/a/1"], whole: ["/srv/a"]) == ["/srv/a"])
    // Directories count as one each.
    #expect(reduced((1...9).map { "/opt/x/lib/\($0)" } + ["/opt/x/bin/x"]) == ["/opt/x/bin/x", "/opt/x/lib"])
    #expect(reduced((1...4).flatMap { n in (1...4).map { "/opt/x/\(n)/\($0)" } }) == ["/opt/x"])
    // Not places where many keep their things.
    for shared in ["/etc", "/root", "/home/me", "/var/lib", "/opt"] {
      let paths = (1...9).map { "\(shared)/\($0)" }
      #expect(reduced(paths) == paths)
      #expect(reduced(paths + [shared], whole: [shared]).count == 10)
    }
    #expect(reduced([]) == [])
  }

  @Test func librariesOutsideTheSystem() {
    let maps = """
      55d0-55d1 r-xp 00000000 fe:00 1    /opt/botburrow/bin/botburrow
      7f00-7f01 r-xp 00000000 fe:00 2    /opt/swift/lib/libswiftCore.so
      7f02-7f03 r--p 00000000 fe:00 2    /opt/swift/lib/libswiftCore.so
      7f04-7f05 r-xp 00000000 fe:00 3    /usr/lib/x86_64-linux-gnu/libc.so.6
      7f06-7f07 rw-p 00000000 00:00 0
      7f08-7f09 r-xp 00000000 00:00 0    [vdso]
      """
    #expect(ProgramCopy.libraries(maps: maps) == ["/opt/swift/lib/libswiftCore.so"])
  }
}
