import Glibc
import JSON
import Linux
import Testing

@testable import Sandbox

private let namespaces = ["cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts"]

private let good: JSONValue = {
  var receipt: [String: JSONValue] = [
    "activation_id": "a-1", "profile": "default",
    "profile_digest": .string("sha256:" + String(repeating: "0", count: 64)),
    "started_at": 0, "wall_seconds": 1.5, "exit": ["cause": "exited", "code": 3], "seccomp_mode": 2,
    "no_new_privs": true, "host_uid": 1_000_001_000,
    "landlock": ["enforced": true, "abi": 6, "tcp_closed": true, "scoped": true],
    "capabilities": .object(
      Dictionary(["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"].map { ($0, "0000000000000000") }) { first, _ in
        first
      }
    ),
    "limits": [
      "memory_bytes": ["value": 1_000_000, "enforced_by": "cgroup memory.max"],
      "cpus": ["value": 0.5, "enforced_by": "cgroup cpu.max"], "pids": ["value": 64, "enforced_by": nil],
      "timeout_seconds": ["value": 600, "enforced_by": "supervisor"],
    ],
    "limits_read_back": [
      "cgroup": ["memory.max": "999424", "cpu.max": "50000 100000"], "rlimits": ["open_files": 1024],
    ],
    "not_enforced": ["pids: the cgroup controller 'pids' is not available"],
    "network": [
      "gateway": "198.18.0.1", "ports": [["name": "hub", "port": 8081]],
      "denied": [
        ["destination": "203.0.113.9", "port": 53, "protocol": "udp", "packets": 3],
        ["destination": "fd00::1", "port": 443, "protocol": "tcp", "packets": 1],
        ["destination": "203.0.113.9", "port": 0, "protocol": "icmp", "packets": 1],
      ], "denied_overflow": 2,
    ],
    "usage": [
      "cpu_seconds": 0.25, "memory_peak_bytes": 1_572_864,
      "io": ["read_bytes": 4096, "reads": 1, "written_bytes": 0, "writes": 0],
    ],
  ]
  for (offset, key) in [("namespaces", 100), ("host_namespaces", 1)].map({ ($0.1, $0.0) }) {
    receipt[key] = .object(
      Dictionary(namespaces.enumerated().map { ($0.element, .integer(Int64($0.offset + offset))) }) { first, _ in first
      })
  }
  return .object(receipt)
}()

private func with(_ path: [String], _ value: JSONValue?, in receipt: JSONValue = good) -> JSONValue {
  var members = receipt.object ?? [:]
  guard let first = path.first else { return value ?? nil }
  if path.count == 1 {
    members[first] = value
  } else {
    members[first] = with(Array(path.dropFirst()), value, in: members[first] ?? [:])
  }
  return .object(members)
}

@Suite("Receipts, read") struct ReceiptTests {
  @Test func `A good one has nothing to say against it`() {
    #expect(ReceiptClaims.differences(good) == [])
    // What never ran has no walls.
    var nothing = with(["namespaces"], nil, in: with(["exit"], ["cause": "setup failed", "operation": "clone3"]))
    #expect(ReceiptClaims.differences(nothing) == [])
    nothing = ["activation_id": "a", "failure": "the supervisor refused it"]
    #expect(ReceiptClaims.differences(nothing) == [])
  }

  @Test(
    arguments: [
      (["namespaces", "net"], 4, "net namespace"), (["namespaces", "user"], nil, "user namespace"),
      (["capabilities", "CapBnd"], "0000000000000001", "CapBnd"), (["capabilities", "CapAmb"], nil, "CapAmb"),
      (["seccomp_mode"], 0, "seccomp_mode"), (["no_new_privs"], false, "no_new_privs"), (["host_uid"], 0, "host_uid"),
      (["exit"], ["cause": "boredom"], "exit"), (["profile_digest"], "md5:0", "profile_digest"),
      (["limits_read_back", "cgroup", "memory.max"], "max", "limit memory_bytes"),
      (["limits_read_back", "cgroup", "cpu.max"], "max 100000", "limit cpus"),
      (["limits_read_back"], nil, "limit cpus"), (["not_enforced"], [], "limit pids"),
      (["network", "denied"], nil, "network.denied"), (["network", "denied"], [["packets": 0]], "network.denied"),
      (["activation_id"], nil, "activation_id"), (["landlock"], ["enforced": false], "landlock"),
    ] as [([String], JSONValue?, String)])
  func `Each wall that is missing is named`(path: [String], value: JSONValue?, name: String) {
    let differences = ReceiptClaims.differences(with(path, value))
    #expect(differences.contains { $0.what == name }, "\(differences)")
  }

  @Test func `The page`() {
    let page = ReceiptPage.text(good) { "second \($0)" }
    #expect(
      page == """
        Activation a-1
          profile         default
          digest          sha256:0000000000000000000000000000000000000000000000000000000000000000
          started         second 0
          took            1.500 s
          ended           exited 3

        Walls, as the kernel told them before the program ran
          namespaces      cgroup 100, ipc 101, mnt 102, net 103, pid 104, time 105, user 106, uts 107
                          none of them the host's
          capabilities    none, in all 5 sets
          seccomp         a filter, no_new_privs
          landlock        version 6, files, TCP, signals and abstract sockets
          user outside    1000001000

        Limits
          cpus            0.5, by cgroup cpu.max
          memory_bytes    976.6 KiB, by cgroup memory.max
          pids            64, NOT ENFORCED
          timeout_seconds 600, by supervisor
          why not         pids: the cgroup controller 'pids' is not available
          read back       cpu.max 50000 100000, memory.max 999424
          rlimits         open_files 1024

        Network
          open            198.18.0.1:8081 (hub)
          denied          203.0.113.9:53/udp, 3 packets
                          [fd00::1]:443/tcp, 1 packet
                          203.0.113.9/icmp, 1 packet
                          other destinations, 2 packets

        Used
          cpu             0.250 s
          memory peak     1.5 MiB
          read            4 KiB in 1
          written         0 B in 0

        """)
    #expect(ReceiptPage.text(with(["namespaces", "net"], 4)) { _ in "" }.contains("THE HOST'S: net"))
    let without = ReceiptPage.text(with(["landlock"], ["enforced": false, "reason": "it is off"])) { _ in "" }
    #expect(without.contains("landlock        NONE: it is off"))
  }

  @Test func `A program's name writes nothing to the terminal but itself`() {
    #expect(printable("a\u{1b}[31mb\nc\u{9b}é") == "a\u{FFFD}[31mb\u{FFFD}c\u{FFFD}é")
    let page = ReceiptPage.text(with(["profile"], "x\u{1b}]0;y\u{7}")) { _ in "" }
    #expect(!page.unicodeScalars.contains("\u{1b}") && !page.unicodeScalars.contains("\u{7}"))
  }

  @Test func `Numbers for people`() {
    #expect(
      [0, 1023, 1024, 1536, 1 << 20, 5 << 40].map { ReceiptPage.bytes($0) } == [
        "0 B", "1023 B", "1 KiB", "1.5 KiB", "1 MiB", "5 TiB",
      ])
    #expect(
      [0.0004, 0.0005, 1.9999, -1.25].map { ReceiptPage.decimal($0, 3) } == ["0.000", "0.001", "2.000", "-1.250"])
  }

  @Test func `io.stat is summed over devices`() {
    let io = ReadBack.io("8:0 rbytes=10 wbytes=1 rios=2 wios=1 dbytes=0 dios=0\n8:16 rbytes=5 wbytes=0 rios=1 wios=0\n")
    #expect(io == ["read_bytes": 15, "written_bytes": 1, "reads": 3, "writes": 1])
    #expect(ReadBack.io("nonsense=\n=") == ["read_bytes": 0, "written_bytes": 0, "reads": 0, "writes": 0])
  }
}

@Suite("What differs, decided") struct DifferenceTests {
  private let inspection = Inspection(
    receipt: ["namespaces": ["net": 7], "profile": "p", "profile_digest": "sha256:1"], pid: 5, supervisorPID: 2,
    groupPath: "/g", groupFiles: ["memory.max": "1000000", "pids.max": "64", "memory.swap.max": "0"], limits: [7: 1024],
    firstID: 1_000_000, uid: 1000, interface: 107,
    ways: [.init(interface: 107, source: IPv4Address(1), destination: IPv4Address(2), port: 80)], writable: ["/tmp"],
    devices: ["/dev/null"], currentDigest: "sha256:1")

  private var reading: SandboxReading {
    var filter = PacketFilterReading()
    filter.ways = inspection.ways
    filter.watched = [107]
    filter.rules = PacketFilterReading.expectedRules
    filter.tables = ["botburrow"]
    filter.isClosed = true
    let status = ProcessStatus(
      text: """
        Uid:\t1001000\t1001000\t1001000\t1001000
        CapInh:\t0
        CapPrm:\t0
        CapEff:\t0
        CapBnd:\t0
        CapAmb:\t0
        NoNewPrivs:\t1
        Seccomp:\t2
        """)
    let process = SandboxReading.Process(
      pid: 5, name: "init", status: status, namespaces: ["net": 7], isInGroup: true,
      limits: [7: ResourceLimits(soft: 512, hard: 1024)])
    return SandboxReading(
      processes: [process], groupFiles: ["memory.max": "999424", "pids.max": "64"],
      mounts: SandboxReading.mounts(
        inMountInfo: """
          1 0 0:1 / / ro,nosuid,nodev - tmpfs none rw
          2 1 0:2 / /tmp rw,nosuid,nodev - tmpfs none rw
          3 1 0:3 /null /dev/null rw - devtmpfs none rw

          """), filter: filter)
  }

  @Test func `Nothing, where all is as meant`() {
    #expect(inspection.differences(reading) == [])
  }

  @Test func `It travels whole`() {
    #expect(Inspection(json: inspection.json) == inspection)
    #expect(Inspection(json: ["pid": 1]) == nil)
  }

  @Test func `Every part that can differ`() {
    func found(_ change: (inout SandboxReading) -> Void) -> [String] {
      var changed = reading
      change(&changed)
      return inspection.differences(changed).map { "\($0.what): \($0.expected) / \($0.found)" }
    }
    #expect(found { $0.groupFiles["memory.max"] = "max" } == ["cgroup memory.max: 1000000 / max"])
    #expect(found { $0.groupFiles["pids.max"] = nil } == ["cgroup pids.max: 64 / no such file"])
    #expect(found { $0.processes[0].namespaces["net"] = 8 } == ["process 5 (init): net namespace: 7 / 8"])
    #expect(found { $0.processes[0].status.seccomp = 0 } == ["process 5 (init): seccomp: 2 / 0"])
    #expect(
      found { $0.processes[0].status.capabilities["CapBnd"] = 1 << 21 } == ["process 5 (init): CapBnd: 0 / 200000"])
    #expect(
      found { $0.processes[0].status.userIDs[1] = 0 } == ["process 5 (init): user ids: 1001000 / 0 1001000"])
    #expect(
      found { $0.processes[0].limits[7] = ResourceLimits(soft: 1024, hard: .max) }
        == ["process 5 (init): limit open_files: at most 1024 / 18446744073709551615"])
    #expect(found { $0.processes[0].isInGroup = false } == ["process 5 (init): cgroup: /g / another"])
    #expect(found { $0.processes = [] } == ["PID 1: process 5 / it isn't in its namespace and cgroup"])
    #expect(found { $0.mounts[0].options = ["rw", "nosuid"] } == ["mount /: read-only / writable"])
    #expect(found { $0.filter.ways = [] } == ["nftables way to 0.0.0.2:80 from 0.0.0.1: open / closed"])
    #expect(found { $0.filter.watched = [] } == ["nftables denials: counted / not counted"])
    #expect(found { $0.filter.isClosed = false }.count == 1)
    #expect(found { $0.filter.rules.removeLast() }.count == 1)
    var other = inspection
    other.currentDigest = nil
    #expect(
      other.differences(reading).map(\.description)
        == ["profile p: expected a profile of that name, found made from sha256:1"])
  }

  @Test func `What a group's file says`() {
    #expect(Inspection.means("4096", "4097") && !Inspection.means("4096", "8192") && !Inspection.means("max", "4096"))
    let limits = "8:0 rbps=1000 wbps=max riops=max wiops=max\n8:16 rbps=1000 wbps=max riops=max wiops=max"
    #expect(Inspection.means(limits, "8:0 rbps=1000\n8:16 rbps=1000", "io.max"))
    #expect(!Inspection.means(limits, "8:0 rbps=1000\n8:32 rbps=1000", "io.max"))
    #expect(!Inspection.means(limits, "8:0 rbps=2000", "io.max"))
  }

  @Test func `Mount points with odd names`() {
    let mounts = SandboxReading.mounts(inMountInfo: "1 0 0:1 / /a\\040b\\134c ro - tmpfs none rw\nshort line\n")
    #expect(mounts == [.init(point: "/a b\\c", options: ["ro"])])
  }
}
