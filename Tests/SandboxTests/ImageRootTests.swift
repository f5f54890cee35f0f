import CLinux
import Glibc
import JSON
import Linux
import Testing

@testable import Sandbox

private let isRoot = geteuid() == 0

/// What a root is made of.
enum RootKind: String, CaseIterable, Sendable { case directory, squashfs, erofs }

/// A tree for a root, and a supervisor whose default profile is made of it.
private final class Ground: Sendable {
  let directory: String
  let kind: RootKind

  /// - Parameter make: what is done in the tree before an image is made of it.
  init(_ kind: RootKind, make: (String) throws -> Void) throws {
    self.kind = kind
    var template = Array("/tmp/botburrow-root-XXXXXX".utf8CString)
    _ = try #require(mkdtemp(&template))
    directory = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    mkdir(tree, 0o755)
    try make(tree)
    switch kind {
    case .directory: break
    case .squashfs: try Self.run("/usr/bin/mksquashfs", [tree, directory + "/image", "-quiet", "-no-progress"])
    case .erofs: try Self.run("/usr/bin/mkfs.erofs", [directory + "/image", tree])
    }
  }
  deinit { try? removeTree(directory) }

  var tree: String { directory + "/tree" }
  var path: String { kind == .directory ? tree : directory + "/image" }
  var root: String { kind == .directory ? "root: { directory: \(tree) }" : "root: { image: \(directory)/image }" }

  func supervisor(readOnly: [String] = [], adding: String = "") throws -> TestSupervisor {
    try TestSupervisor(profiles: ["default": try TestProfile.text(adding: root + "\n" + adding, readOnly: readOnly)])
  }

  /// A shell, cat and ls with what they need, as a distribution would lay it out.
  static func addPrograms(_ tree: String) throws {
    let script = """
      set -e; cd "$1"; mkdir -p usr/bin usr/lib usr/lib64; ln -s usr/bin bin; ln -s usr/lib lib; ln -s usr/lib64 lib64
      cp /bin/dash usr/bin/sh; cp /bin/cat /bin/ls /usr/bin/stat usr/bin
      for file in $(ldd /bin/dash /bin/cat /bin/ls /usr/bin/stat | grep -o '/lib[^ ]*' | sort -u); do
        mkdir -p "usr/${file%/*}"; cp -L "$file" "usr$file"; done
      """
    try run("/bin/sh", ["-c", script, "sh", tree])
  }

  static func run(_ program: String, _ arguments: [String]) throws {
    let (output, end) = try makePipe()
    let child = try ProcessHandle(
      child: try spawn(
        program, [program] + arguments, environment: ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"],
        descriptors: [nil, end, end]))
    end.close()
    let text = String(decoding: try output.readAll(limit: 1 << 20), as: UTF8.self)
    try #require(try child.wait() == .exited(0), "\(program): \(text)")
  }
}

/// Why a sandbox is not made; nil where it is.
private func refusal(_ supervisor: TestSupervisor) async -> String? {
  do {
    let exit = try await supervisor.run(["true"]).receipt.exit
    if case .setupFailed = exit { return "\(exit)" }
    return nil
  } catch { return "\(error)" }
}

private func text(_ result: SandboxResult) -> String {
  String(decoding: result.output, as: UTF8.self)
}

@Suite("Roots from images and directories", .serialized, .enabled(if: isRoot, "needs root")) struct ImageRootTests {
  @Test(arguments: RootKind.allCases)
  func `A program runs from it, and can't change it`(kind: RootKind) async throws {
    let ground = try Ground(kind) { tree in
      try Ground.addPrograms(tree)
      mkdir(tree + "/etc", 0o755)
      try Descriptor.replacing(tree + "/etc/motd", mode: 0o644).write("hello\n".utf8)
      try Descriptor.replacing(tree + "/etc/shadow", mode: 0o600).write("secret\n".utf8)
      try Descriptor.replacing(tree + "/etc/passwd", mode: 0o644).write("theirs\n".utf8)
      try Descriptor.replacing(tree + "/version", mode: 0o644).write("7\n".utf8)
    }
    let supervisor = try ground.supervisor()
    let script = """
      cd /; echo *; cat /version /etc/motd /etc/passwd; cat /etc/shadow 2>&1
      for f in /new /usr/new /usr/bin/sh /version /etc/new /etc/motd; do (echo x > $f) 2>/dev/null && echo "wrote $f"; done
      for f in /tmp /workspace /run/agent/out; do (echo x > $f/new) && echo "wrote $f"; done
      """
    let result = try await supervisor.run(["sh", "-c", script])
    #expect(result.receipt.exit == .exited(code: 0), "\(String(decoding: result.errorOutput, as: UTF8.self))")
    #expect(
      text(result) == """
        bin dev etc lib lib64 proc run tmp usr version workspace
        7
        hello
        root:x:0:0:root:/:/usr/sbin/nologin
        agent:x:1000:1000:agent:/workspace:/bin/sh
        cat: /etc/shadow: Permission denied
        wrote /tmp
        wrote /workspace
        wrote /run/agent/out

        """)
    // A second one is made of the same mount.
    #expect(try await supervisor.run(["cat", "/version"]).output == Array("7\n".utf8))
    let images = try attachedImages().filter { $0.hasPrefix(ground.directory) }
    #expect(images.count == (kind == .directory ? 0 : 1))
    #expect(try supervisor.stop() != nil)
    #expect(try holds(within: .seconds(1)) { try !attachedImages().contains { $0.hasPrefix(ground.directory) } })
  }

  @Test(arguments: RootKind.allCases)
  func `A root with nothing where mount points should be`(kind: RootKind) async throws {
    let ground = try Ground(kind) { tree in
      try Ground.addPrograms(tree)
      mkdir(tree + "/opt", 0o755)
      mkdir(tree + "/opt/theirs", 0o755)
    }
    let supervisor = try ground.supervisor(readOnly: ["/usr/share/zoneinfo"])
    let result = try await supervisor.run(
      ["sh", "-c", "cat /proc/self/comm; [ -c /dev/null ] && echo null; echo x > /tmp/x; echo /opt/* /usr/share/*"])
    #expect(text(result) == "cat\nnull\n/opt/theirs /usr/share/zoneinfo\n")
  }

  /// Each of ours has something hostile of the tree's in its place. The control is the same tree seen from outside.
  @Test(arguments: RootKind.allCases)
  func `A hostile root gains nothing`(kind: RootKind) async throws {
    let ground = try Ground(kind) { tree in
      try Ground.addPrograms(tree)
      let outside = String(tree.dropLast("/tree".count)) + "/outside"
      mkdir(outside, 0o777)
      chmod(outside, 0o777)
      try Descriptor.replacing(outside + "/marker", mode: 0o644).write("host\n".utf8)
      for (name, target) in [
        ("dev", outside), ("etc", "/workspace"), ("proc", "etc"), ("run", "../../../../.." + outside), ("sys", "/proc"),
        ("loop", "loop"), ("marker", outside + "/marker"), ("up", "../../../../../../.." + outside + "/marker"),
      ] { try #require(symlink(target, "\(tree)/\(name)") == 0) }
      try #require(mkfifo(tree + "/tmp", 0o666) == 0)
      for (name, minor) in [("workspace", 3), ("zero", 5), ("usr/zero", 5)] {
        try #require(mknod("\(tree)/\(name)", S_IFCHR | 0o666, UInt(1 << 8 | minor)) == 0)
        chmod("\(tree)/\(name)", 0o666)
      }
      try #require(mkfifo(tree + "/usr/pipe", 0o666) == 0)
      try Ground.run("/bin/cp", ["/bin/cat", tree + "/usr/bin/setuid-cat"])
      try #require(chmod(tree + "/usr/bin/setuid-cat", 0o6755) == 0)
    }
    // Controls: outside the links lead to the marker, the device gives zeros, the set-id program is root's.
    #expect(try readFile(ground.tree + "/marker") == "host\n")
    #expect(try Descriptor.open(ground.tree + "/usr/zero").status("").st_mode & S_IFMT == S_IFCHR)
    let (output, end) = try makePipe()
    let control = try ProcessHandle(
      child: try spawn(
        "/usr/bin/setpriv",
        ["setpriv", "--reuid=12345", "--clear-groups", ground.tree + "/usr/bin/setuid-cat", "/proc/self/status"],
        descriptors: [nil, end, end]))
    end.close()
    let status = String(decoding: try output.readAll(limit: 1 << 20), as: UTF8.self)
    #expect(try control.wait() == .exited(0))
    #expect(status.contains("Uid:\t12345\t0\t0\t0"), "\(status)")

    let supervisor = try ground.supervisor()
    let script = """
      for d in /dev /etc /proc /run /tmp /workspace; do [ -d $d ] && [ ! -L $d ] && echo "$d"; done
      [ -c /dev/null ] && [ -r /proc/self/status ] && cat /etc/hostname
      for f in /sys /zero /marker /up; do [ -e $f ] && echo "there is $f"; done
      cat /usr/zero 2>&1
      echo x > /workspace/x && echo y > /tmp/y && echo written
      while read name uid effective rest; do [ "$name" = Uid: ] && echo $uid $effective; done <<END
      $(setuid-cat /proc/self/status)
      END
      """
    let result = try await supervisor.run(["sh", "-c", script])
    #expect(
      text(result) == """
        /dev
        /etc
        /proc
        /run
        /tmp
        /workspace
        sandbox
        cat: /usr/zero: Permission denied
        written
        1000 1000

        """, "\(String(decoding: result.errorOutput, as: UTF8.self)) \(result.receipt.exit)")
    // Nothing was made where the links lead.
    #expect(try files(in: ground.directory + "/outside") == ["marker"])
    #expect(try directories(in: ground.directory + "/outside") == [])
  }

  @Test(arguments: RootKind.allCases)
  func `A root that others may change is refused`(kind: RootKind) async throws {
    let ground = try Ground(kind) { try Ground.addPrograms($0) }
    let supervisor = try ground.supervisor()
    for (mode, owner) in [(0o777, 0), (0o775, 0), (0o755, 12345)] as [(mode_t, uid_t)] {
      #expect(chmod(ground.path, mode) == 0 && chown(ground.path, owner, 0) == 0)
      #expect(
        await refusal(supervisor)
          == """
          setup failed at open root \(ground.path): EPERM (Operation not permitted); \
          others may change it; give it to root alone: chown root \(ground.path); chmod go-w \(ground.path)
          """)
    }
    #expect(chmod(ground.path, 0o755) == 0 && chown(ground.path, 0, 0) == 0)
    #expect(try await supervisor.run(["sh", "-c", "exit 0"]).receipt.exit == .exited(code: 0))
  }

  @Test func `What is no image says so`() async throws {
    let ground = try Ground(.squashfs) { _ in }
    let supervisor = try ground.supervisor()
    try Descriptor.replacing(ground.path, mode: 0o644).write([UInt8](repeating: 1, count: 4096))
    let begin = "setup failed at"
    #expect(
      await refusal(supervisor)
        == "\(begin) open image \(ground.path): EINVAL (Invalid argument); it is neither squashfs nor erofs")
    // The magic number alone makes no file system.
    try Descriptor.replacing(ground.path, mode: 0o644).write(Array("hsqs".utf8) + [UInt8](repeating: 1, count: 4096))
    #expect(await refusal(supervisor)?.hasPrefix("\(begin) mount squashfs \(ground.path): ") == true)
    #expect(unlink(ground.path) == 0 && mkfifo(ground.path, 0o644) == 0)
    #expect(
      await refusal(supervisor)
        == "\(begin) open image \(ground.path): EINVAL (Invalid argument); 'root.image' must be a regular file")
  }

  @Test func `An image that is replaced is used from then on`() async throws {
    let ground = try Ground(.squashfs) { tree in
      try Ground.addPrograms(tree)
      try Descriptor.replacing(tree + "/version", mode: 0o644).write("1\n".utf8)
    }
    let supervisor = try ground.supervisor()
    #expect(try await supervisor.run(["cat", "/version"]).output == Array("1\n".utf8))
    try Descriptor.replacing(ground.tree + "/version", mode: 0o644).write("2\n".utf8)
    try Ground.run("/usr/bin/mksquashfs", [ground.tree, ground.directory + "/next", "-quiet", "-no-progress"])
    #expect(rename(ground.directory + "/next", ground.path) == 0)
    #expect(try await supervisor.run(["cat", "/version"]).output == Array("2\n".utf8))
  }
}
