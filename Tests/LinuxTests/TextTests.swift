import Glibc
import Testing

@testable import Linux

@Suite("Texts of the kernel") struct TextTests {
  @Test func `The cgroup2 mount is found wherever it is`() {
    let unified = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate"
    let hybrid = """
      22 1 0:20 / / rw - ext4 /dev/vda rw
      31 30 0:27 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
      32 30 0:28 / /sys/fs/cgroup/unified rw shared:9 master:1 - cgroup2 none rw
      """
    #expect(ControlGroup.mountPoint(inMountInfo: unified) == "/sys/fs/cgroup")
    #expect(ControlGroup.mountPoint(inMountInfo: hybrid) == "/sys/fs/cgroup/unified")
    #expect(ControlGroup.mountPoint(inMountInfo: "22 1 0:20 / /cgroup2 rw - tmpfs cgroup2 rw") == nil)
    #expect(ControlGroup.mountPoint(inMountInfo: "short - line\n-\n\n") == nil)
  }

  @Test func `A process's own group is the line of hierarchy 0`() {
    #expect(ControlGroup.own(inProcCgroup: "2:cpu:/x\n0::/system.slice/a.service\n") == "/system.slice/a.service")
    #expect(ControlGroup.own(inProcCgroup: "10::/x\n2:cpu:/y\n") == nil)
  }

  @Test func `A scope is needed on a systemd host, but not where the group is ours already`() {
    #expect(ControlGroup.needsScope(hasSystemd: true, isInside: false, isDelegated: false))
    #expect(!ControlGroup.needsScope(hasSystemd: false, isInside: false, isDelegated: false))
    #expect(!ControlGroup.needsScope(hasSystemd: true, isInside: true, isDelegated: false))
    #expect(!ControlGroup.needsScope(hasSystemd: true, isInside: false, isDelegated: true))
    #expect(ControlGroup(path: "/sys/fs/x.scope").parentPath == "/sys/fs")
    #expect(!ControlGroup(path: "/proc").isDelegated)
  }

  @Test func `Process status`() {
    let status = ProcessStatus(
      text: """
        Name:\tx
        Uid:\t1000\t1001\t1002\t1003
        CapInh:\t0000000000000000
        CapPrm:\t000001ffffffffff
        CapEff:\t00000000a80425fb
        CapBnd:\t000001ffffffffff
        CapAmb:\t0000000000000000
        NoNewPrivs:\t1
        Seccomp:\t2
        Seccomp_filters:\t1
        """)
    #expect(
      status.capabilities == [
        "CapInh": 0, "CapPrm": 0x1ff_ffff_ffff, "CapEff": 0xa804_25fb, "CapBnd": 0x1ff_ffff_ffff, "CapAmb": 0,
      ])
    #expect(status.seccomp == 2)
    #expect(status.noNewPrivileges)
    #expect(status.userIDs == [1000, 1001, 1002, 1003])
  }

  @Test func `A status without the fields claims nothing`() {
    let status = ProcessStatus(text: "Name:\tSeccomp:\t2\nCapEff:\tnonsense\nNoNewPrivs:\n")
    #expect(status.capabilities.isEmpty)
    #expect(status.seccomp == nil)
    #expect(!status.noNewPrivileges)
    #expect(status.userIDs.isEmpty)
  }

  @Test(
    arguments: [
      ("198.18.0.1", 0xC612_0001), ("0.0.0.0", 0), ("255.255.255.255", UInt32.max), ("1.2.3", nil), ("1.2.3.4.5", nil),
      ("1.2.3.256", nil), ("1.2.3.", nil), ("+1.2.3.4", nil), ("1.2.3.-4", nil), (" 1.2.3.4", nil), ("", nil),
      ("a.b.c.d", nil), ("01.2.3.4", nil),
    ] as [(String, UInt32?)])
  func `Addresses in dotted decimal`(text: String, number: UInt32?) {
    #expect(IPv4Address(text)?.number == number)
    if number != nil { #expect(IPv4Address(text)?.description == text) }
  }

  @Test func `Errors read as one sentence`() {
    #expect(
      LinuxError("open", "/etc/x", code: ENOENT).description == "open /etc/x: ENOENT (No such file or directory)")
    #expect(
      LinuxError("bind", "/run/x", code: EADDRINUSE, advice: "another supervisor serves this socket").description
        == "bind /run/x: EADDRINUSE (Address already in use); another supervisor serves this socket")
    #expect(LinuxError("clone3", "", code: EPERM).description == "clone3: EPERM (Operation not permitted)")
    #expect(errorName(99999) == "Unknown error 99999")
  }

  @Test func `Durations`() {
    #expect(Duration.milliseconds(1500).milliseconds == 1500)
    #expect(Duration.microseconds(1999).milliseconds == 1)
    #expect(Duration.milliseconds(250).seconds == 0.25)
  }
}
