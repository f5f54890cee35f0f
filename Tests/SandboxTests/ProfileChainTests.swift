import Linux
import Testing
import YAML

@testable import Sandbox

private let base = """
  description: the base
  read_only: [/usr, '?/opt']
  scratch:
    - { path: /tmp, size: 1M }
    - { path: /workspace, size: 2M }
  environment: { A: 1, B: 2 }
  masked: [/proc/keys]
  limits: { memory: 64M, cpus: 1, pids: 8, timeout: 1m }
  syscalls:
    allow: [[read, write], socket]
    when:
      - { name: clone, argument: 0, clear: 1 }
    errno: { clone3: ENOSYS }
  """

/// Reads `child.yaml` beside the base and others; what is wrong with it is the error.
private func load(_ child: String, _ others: [String: String] = [:]) throws(ProfileError) -> ProfileFile.Loaded {
  var files = others
  files["base.yaml"] = base
  files["child.yaml"] = child
  return try ProfileFile.load("child", from: ProfileSource(files: files))
}

private func message(_ child: String, _ others: [String: String] = [:]) -> String? {
  do throws(ProfileError) {
    _ = try load(child, others)
    return nil
  } catch { return error.description.replacing("profile 'child' can't be used: ", with: "") }
}

@Suite("Profiles that extend others") struct ProfileChainTests {
  @Test func `A child that says nothing is its parent under another name`() throws {
    let child = try load("description: the child\nextends: base\n").profile
    var parent = try ProfileFile.load("base", from: ProfileSource(files: ["base.yaml": base])).profile
    #expect(child.parents == ["base"])
    parent.name = "child"
    parent.description = "the child"
    parent.parents = ["base"]
    #expect(child == parent)
  }

  @Test func `Scalars override, lists add, mappings merge by key`() throws {
    let profile = try load(
      """
      description: the child
      extends: base
      uid: 2000
      read_only: [/opt, /srv]
      scratch: [{ path: /tmp, size: 4M }, { path: /run/x, size: 1M }]
      environment: { B: 3, C: 4 }
      masked: [/proc/kcore]
      limits: { pids: 16, memory_high: 32M, cpu_weight: 50, io: { read_bps: 1M, write_iops: 100 } }
      syscalls:
        allow: [openat]
        errno: { bpf: 77, clone3: EACCES }
        denied: EACCES
        unknown: 1234
      """
    ).profile
    #expect(profile.uid == 2000)
    #expect(
      profile.readOnly == [
        .init(path: "/usr", optional: false), .init(path: "/opt", optional: false),
        .init(path: "/srv", optional: false),
      ])
    #expect(profile.scratch.map(\.path) == ["/tmp", "/workspace", "/run/x"])
    #expect(profile.scratch.map(\.size) == [4 << 20, 2 << 20, 1 << 20])
    #expect(profile.environment == ["A": "1", "B": "3", "C": "4"])
    #expect(profile.masked == ["/proc/keys", "/proc/kcore"])
    var limits = Profile.Limits(
      memory: 64 << 20, swap: 0, cpus: 1, pids: 16, openFiles: 1024, fileSize: 1 << 30, timeout: .seconds(60))
    limits.memoryHigh = 32 << 20
    limits.cpuWeight = 50
    limits.io = .init(readBytes: 1 << 20, writeOperations: 100)
    #expect(profile.limits == limits)
    #expect(profile.syscalls.allowed == ["read", "write", "socket", "openat"])
    #expect(profile.syscalls.errnos == ["bpf": 77, "clone3": 13])
    #expect(profile.syscalls.denied == 13 && profile.syscalls.unknown == 1234)
  }

  @Test func `What a parent allows a child can put a condition on, and the other way round`() throws {
    let profile = try load(
      """
      description: the child
      extends: base
      syscalls:
        allow: [clone]
        when: [{ name: socket, argument: 0, one_of: [1] }]
      """
    ).profile
    #expect(profile.syscalls.allowed == ["read", "write", "clone"])
    #expect(profile.syscalls.conditional == ["socket": .init(argument: 0, .oneOf([1]))])
  }

  @Test func `What a parent has a child can take away, and say anew`() throws {
    let loaded = try load(
      """
      description: the child
      extends: base
      remove:
        read_only: [/opt]
        scratch: [/workspace]
        masked: [/proc/keys]
        environment: [A]
        syscalls: [socket, clone, read]
      syscalls:
        allow: [read]
      """)
    let profile = loaded.profile
    #expect(profile.readOnly.map(\.path) == ["/usr"])
    #expect(profile.scratch.map(\.path) == ["/tmp"])
    #expect(profile.masked == [])
    #expect(profile.environment == ["B": "2"])
    #expect(profile.syscalls.allowed == ["read", "write"])
    #expect(profile.syscalls.conditional == [:])
    #expect(loaded.origins[ProfileRule("syscalls.allow", "socket")] == nil)
    #expect(loaded.origins[ProfileRule("syscalls.allow", "read")]?.file == "child.yaml")
  }

  @Test func `Root, workspace and Landlock`() throws {
    let profile = try load(
      """
      description: the child
      extends: base
      root: { image: /srv/root.squashfs }
      workspace: { path: /workspace, size: 1G }
      landlock: required
      """)
    #expect(profile.profile.root == .image("/srv/root.squashfs"))
    #expect(profile.profile.workspace == .init(path: "/workspace", size: 1 << 30))
    #expect(profile.profile.landlock == .required)
    // What stays took the place of what doesn't.
    #expect(profile.profile.scratch.map(\.path) == ["/tmp"])
    #expect(profile.origins[ProfileRule("scratch", "/workspace")] == nil)
    let grandchild = try ProfileFile.load(
      "g",
      from: ProfileSource(files: [
        "base.yaml": base, "child.yaml": "description: c\nextends: base\nroot: { directory: /srv/root }\n",
        "g.yaml": "description: g\nextends: child\nworkspace: none\nroot: scratch\nlandlock: off\n",
      ])
    ).profile
    #expect(grandchild.root == .scratch && grandchild.workspace == nil && grandchild.landlock == .off)
    #expect(grandchild.parents == ["child", "base"])
  }

  @Test func `Each rule remembers its file and line`() throws {
    let loaded = try load(
      "description: c\nextends: base\nlimits:\n  pids: 16\nenvironment:\n  B: 3\nread_only:\n  - /srv\n")
    func origin(_ key: String, _ item: String = "") -> String? {
      loaded.origins[ProfileRule(key, item)].map { "\($0.file):\($0.position.line)" }
    }
    #expect(origin("limits.pids") == "child.yaml:4")
    #expect(origin("limits.memory") == "base.yaml:8")
    #expect(origin("environment", "A") == "base.yaml:6")
    #expect(origin("environment", "B") == "child.yaml:6")
    #expect(origin("read_only", "/usr") == "base.yaml:2")
    #expect(origin("read_only", "/srv") == "child.yaml:8")
    #expect(origin("scratch", "/workspace") == "base.yaml:5")
    #expect(origin("syscalls.allow", "write") == "base.yaml:10")
    #expect(origin("syscalls.when", "clone") == "base.yaml:12")
    #expect(origin("syscalls.errno", "clone3") == "base.yaml:13")
    #expect(origin("uid") == nil)
    #expect(loaded.files == ["child.yaml", "base.yaml"])
  }

  @Test func `The digest is that of all the files`() throws {
    let child = "description: c\nextends: base\n"
    let digest = try load(child).digest
    #expect(try load(child).digest == digest)
    #expect(try load(child + "# x\n").digest != digest)
    let other = ProfileSource(files: ["base.yaml": base + "\n# x\n", "child.yaml": child])
    #expect(try ProfileFile.load("child", from: other).digest != digest)
    // (sha256sum child.yaml base.yaml) | sha256sum, of one file each that say nothing else.
    let two = ProfileSource(files: ["a.yaml": "description: a\nextends: b\n", "b.yaml": base + "\n"])
    #expect(
      try ProfileFile.load("a", from: two).digest
        == "sha256:fdc2b0a8c8d025e7691f1a20230bf604d20ebd260a93854fa4b5fa65bb261943")
  }

  @Test(
    arguments: [
      (
        "description: c\nextends: nobody\n",
        "child.yaml:2:10: 'extends' names 'nobody', but nobody.yaml doesn't exist; there are: base, child"
      ),
      ("description: c\nextends: child\n", "child.yaml:2:10: 'extends' leads back to 'child': child → child"),
      (
        "description: c\nextends: ../base\n",
        "child.yaml:2:10: 'extends' must be a name of small letters, digits and '-', not '../base'"
      ),
      (
        "description: c\nextends: base\nremove:\n  syscalls: [bpf]\n  masked: [/proc/x]\n",
        """
        child.yaml:4:14: 'remove' takes 'bpf' away, but no parent has it in 'syscalls.allow'
        child.yaml:5:12: 'remove' takes '/proc/x' away, but no parent has it in 'masked'
        """
      ),
      (
        base + "\nremove: { masked: [/proc/keys] }\n",
        "child.yaml:14:9: 'remove' needs 'extends': without a parent there is nothing to take away"
      ),
      (
        "description: c\nextends: base\nlimits: { memory_high: 65M, cpu_weight: 0, io: { read_bps: 1 } }\n",
        """
        child.yaml:3:41: 'cpu_weight' must be a whole number between 1 and 10000, not '0'
        child.yaml:3:60: 'read_bps' must be between 4KiB and 1024TiB, not '1'
        """
      ),
      (
        "description: c\nextends: base\nlimits: { memory_high: 65M }\n",
        "child.yaml:3:24: 'memory_high' is 65MiB, more than 'memory', which is 64MiB"
      ),
      (
        "description: c\nextends: base\nroot: host\nworkspace: { path: /w, size: 1M }\n",
        """
        child.yaml:3:7: 'root' must be scratch, { directory: /path } or { image: /path }
        child.yaml:4:30: 'size' must be between 8MiB and 1024TiB, not '1M'
        """
      ),
      (
        "description: c\nextends: base\nroot: { directory: /a, image: /b }\n",
        "child.yaml:3:7: 'root' needs exactly one of 'directory' and 'image'"
      ),
      (
        "description: c\nextends: base\nworkspace: { path: /w, size: 8M }\nscratch: [{ path: /w, size: 1M }]\n",
        "child.yaml:4:11: '/w' is the 'workspace'; it can't be 'scratch' as well"
      ),
      (
        "description: c\nextends: base\nworkspace: { path: /w, size: 8M }\nscratch: [{ path: /w/x, size: 1M }]\n",
        "child.yaml:4:11: '/w/x' can't be in '/w', the 'workspace'"
      ),
      (
        "description: c\nextends: base\nworkspace: { path: /tmp/w, size: 8M }\n",
        "child.yaml:3:12: '/tmp/w', the 'workspace', can't be in 'scratch' '/tmp'"
      ),
      (
        "description: c\nextends: base\nsyscalls: { denied: EWHAT, errno: { bpf: 4096 } }\n",
        """
        child.yaml:3:21: 'denied' must be the name of an errno such as EPERM, or a number between 1 and 4095, not 'EWHAT'
        child.yaml:3:42: 'errno[bpf]' must be the name of an errno such as EPERM, or a number between 1 and 4095, not '4096'
        """
      ),
      (
        "description: c\nextends: base\nsyscalls:\n  when:\n    - { name: kill, argument: 1, one_of: [0] }\n"
          + "    - { name: kill, argument: 1, one_of: [9] }\n",
        "child.yaml:6:7: 'kill' has a condition already; put all of it into one"
      ),
    ] as [(String, String)])
  func `What is wrong is said exactly`(child: String, expected: String) {
    #expect(message(child) == expected)
  }

  @Test func `An error of a parent is told with the parent's place`() {
    #expect(
      message("description: c\nextends: p\n", ["p.yaml": "description: p\nextends: base\nuid: 0\n"])
        == "p.yaml:3:6: 'uid' must be a whole number between 1 and 65533, not '0'")
  }

  @Test func `A ring of parents is told, not followed`() {
    #expect(
      message("description: c\nextends: p\n", ["p.yaml": "description: p\nextends: child\n"])
        == "p.yaml:2:10: 'extends' leads back to 'child': child → p → child")
    var files: [String: String] = [:]
    for index in 1...20 { files["p\(index).yaml"] = "description: p\nextends: p\(index + 1)\n" }
    #expect(
      message("description: c\nextends: p1\n", files)
        == "p15.yaml:2:10: 'extends' makes a chain of more than 16 profiles")
  }

  @Test func `What can't be had is refused, not left out`() throws {
    func shortcoming(_ text: String, landlock: Int?) throws -> String? {
      try load("description: c\nextends: base\n" + text).profile.shortcoming(landlock: landlock)
    }
    #expect(try shortcoming("", landlock: nil) == nil)
    #expect(try shortcoming("landlock: required\n", landlock: 1) == nil)
    #expect(
      try shortcoming("landlock: required\n", landlock: nil)
        == "has 'landlock: required', and this kernel hasn't got it: boot with 'landlock' in the list of lsm=, or write "
        + "'landlock: best-effort'")
  }
}

@Suite("Limits of a cgroup") struct GroupSettingsTests {
  private let limits = Profile.Limits(
    memory: 1 << 30, swap: 0, cpus: 0.5, pids: 64, openFiles: 1024, fileSize: 1 << 20, timeout: .seconds(1))
  private let disks = [BlockDevice(major: 8, minor: 0), BlockDevice(major: 254, minor: 16)]

  private func text(_ limits: Profile.Limits, _ controllers: Set<String>) -> [String] {
    GroupTree.settings(limits, controllers: controllers, disks: disks).map { "\($0.file) = \($0.value)" }
  }

  @Test func `The usual limits`() {
    #expect(
      text(limits, ["memory", "cpu", "pids", "io"]) == [
        "memory.max = 1073741824", "memory.swap.max = 0", "memory.oom.group = 1", "cpu.max = 50000 100000",
        "pids.max = 64",
      ])
    #expect(text(limits, []) == [])
  }

  @Test func `Those that a profile may add`() {
    var limits = limits
    limits.memoryHigh = 1 << 29
    limits.cpuWeight = 20
    limits.io = .init(readBytes: 1 << 20, writeBytes: nil, readOperations: nil, writeOperations: 100)
    #expect(
      text(limits, ["memory", "cpu", "io"]) == [
        "memory.max = 1073741824", "memory.swap.max = 0", "memory.oom.group = 1", "memory.high = 536870912",
        "cpu.max = 50000 100000", "cpu.weight = 20", "io.max = 8:0 rbps=1048576 wiops=100",
        "io.max = 254:16 rbps=1048576 wiops=100",
      ])
  }

  @Test func `What can't be limited is said`() {
    var limits = limits
    limits.io = .init(readBytes: 1 << 20)
    let all: Set = ["memory", "cpu", "pids", "io"]
    #expect(GroupTree(root: nil, controllers: all, shortage: "", disks: disks).missing(limits) == [])
    #expect(
      GroupTree(root: nil, controllers: all.subtracting(["io"]), shortage: "why", disks: disks).missing(limits)
        == ["io: the cgroup controller 'io' is not available (why)"])
    #expect(
      GroupTree(root: nil, controllers: all, shortage: "", disks: []).missing(limits)
        == ["io: no disk is behind '/' or /var/lib/botburrow/workspaces"])
    #expect(GroupTree(root: nil, controllers: [], shortage: "", disks: []).missing().count == 3)
  }
}
