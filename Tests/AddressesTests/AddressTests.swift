import Testing

@testable import Addresses

@Suite("Addresses") struct AddressTests {
  static let kinds: [(String, AddressClass)] = [
    ("8.8.8.8", .publicHost), ("1.1.1.1", .publicHost), ("2606:4700::1111", .publicHost),
    ("99.255.255.255", .publicHost),
    ("100.128.0.0", .publicHost), ("172.15.255.255", .publicHost), ("172.32.0.0", .publicHost),
    ("223.255.255.255", .publicHost), ("168.63.129.17", .publicHost), ("2a00:1450::", .publicHost),
    ("127.0.0.1", .loopback), ("127.255.255.255", .loopback), ("::1", .loopback), ("0.0.0.0", .unspecified),
    ("0.1.2.3", .unspecified), ("::", .unspecified), ("10.0.0.1", .privateNetwork), ("172.16.0.1", .privateNetwork),
    ("172.31.255.255", .privateNetwork), ("192.168.1.1", .privateNetwork), ("fd00::1", .privateNetwork),
    ("fc00::", .privateNetwork), ("fec0::1", .privateNetwork), ("fd00:ec2::254", .privateNetwork),
    ("169.254.169.254", .linkLocal), ("fe80::1", .linkLocal), ("100.64.0.1", .carrierNAT),
    ("100.100.100.200", .carrierNAT), ("168.63.129.16", .platform), ("198.18.0.1", .benchmark),
    ("198.19.255.255", .benchmark), ("224.0.0.1", .multicast), ("239.255.255.255", .multicast), ("ff02::1", .multicast),
    ("255.255.255.255", .broadcast), ("240.0.0.1", .reserved), ("192.0.0.192", .reserved),
    ("192.0.2.1", .documentation),
    ("198.51.100.7", .documentation), ("203.0.113.7", .documentation), ("2001:db8::1", .documentation),
    ("3fff::1", .documentation), ("2001::1", .reserved), ("2002:7f00:1::", .reserved), ("192.88.99.1", .reserved),
    // IPv4 inside IPv6 is what it is inside.
    ("::ffff:127.0.0.1", .loopback), ("::ffff:10.1.2.3", .privateNetwork), ("::ffff:8.8.8.8", .publicHost),
    ("::ffff:a9fe:a9fe", .linkLocal), ("64:ff9b::127.0.0.1", .loopback), ("64:ff9b::169.254.169.254", .linkLocal),
    ("64:ff9b::8.8.8.8", .publicHost), ("64:ff9b:1::8.8.8.8", .privateNetwork),
    // Forms whose meaning nobody should rely on.
    ("::127.0.0.1", .reserved), ("::ffff:0:127.0.0.1", .reserved), ("100::1", .reserved), ("4000::1", .reserved),
    ("5f00::1", .reserved), ("1fff::1", .reserved),
  ]

  @Test("each kind of place", arguments: kinds)
  func kind(_ text: String, _ kind: AddressClass) throws {
    #expect(AddressClass(try #require(IPAddress(text))) == kind)
  }

  @Test(
    "only whole addresses are addresses",
    arguments: [
      "127.1", "0x7f000001", "2130706433", "0177.0.0.1", "", "[::1]", "fe80::1%eth0", "1.2.3.4.5", "localhost",
    ])
  func names(_ text: String) { #expect(IPAddress(text) == nil) }

  @Test func `Blocks are read, and contain what they should`() throws {
    let block = try #require(AddressBlock("10.20.0.0/14"))
    #expect(block.contains(try #require(IPAddress("10.23.255.255"))))
    #expect(!block.contains(try #require(IPAddress("10.24.0.0"))))
    #expect(!block.contains(try #require(IPAddress("::1"))))
    #expect(AddressBlock("::1")?.contains(try #require(IPAddress("::1"))) == true)
    #expect(AddressBlock("0.0.0.0/0")?.contains(try #require(IPAddress("9.9.9.9"))) == true)
    for text in ["10.0.0.1/8", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/+8", "x/8", "10.0.0.0/"] {
      #expect(AddressBlock(text) == nil)
    }
    #expect("\(block)" == "10.20.0.0/14")
  }

  @Test func `Host rules admit what they name`() throws {
    func admits(_ rule: String, _ wanted: String) throws -> Bool {
      try #require(HostRule(rule)).admits(try #require(HostPort(wanted)))
    }
    #expect(try admits("api.github.com:443", "API.GitHub.com.:443"))
    #expect(try !admits("api.github.com:443", "api.github.com:80"))
    #expect(try !admits("api.github.com:443", "evil-api.github.com:443"))
    #expect(try admits("*.github.com:443", "a.b.github.com:443"))
    #expect(try !admits("*.github.com:443", "github.com:443"))
    #expect(try !admits("*.github.com:443", "evilgithub.com:443"))
    #expect(try admits("*:443", "anything.example:443"))
    #expect(try admits("db.local:*", "db.local:5432"))
    #expect(try admits("127.0.0.1:80", "127.0.0.1:80"))
    #expect(try !admits("127.0.0.1:80", "127.1:80"))
    #expect(try admits("[::1]:80", "[0:0::1]:80"))
    for text in [
      "github.com", "github.com:0", "github.com:65536", "a b:80", ":80", "*x.com:80", "[::1:80", "::1:80", "a..b:80",
      "http://x:80",
    ] {
      #expect(HostRule(text) == nil, "\(text)")
    }
    #expect(HostPort("example.com", defaultPort: 80)?.description == "example.com:80")
    #expect(HostPort("[2001:db8::1]", defaultPort: 80)?.description == "[2001:db8::1]:80")
    #expect(HostPort("user@example.com:80") == nil)
  }
}
