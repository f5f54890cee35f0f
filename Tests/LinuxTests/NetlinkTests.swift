import CLinux
import Glibc
import Testing

@testable import Linux

private func bytes(_ text: String) -> [UInt8] {
  let digits = text.split { $0 == " " || $0 == "\n" }.joined()
  var values: [UInt8] = []
  var rest = Substring(digits)
  while rest.count >= 2 {
    values.append(UInt8(rest.prefix(2), radix: 16) ?? 0)
    rest = rest.dropFirst(2)
  }
  return values
}

#if _endian(little)
  @Suite("Netlink messages, byte for byte") struct NetlinkGoldenTests {
    @Test func `A veth pair`() throws {
      let link = VirtualLink(
        name: "bb7", index: 107, inside: IPv4Address(0xC612_0107), gateway: IPv4Address(0xC612_0001))
      let all = linkMessages(inside: link, gatewayNamespace: 9).bytes
      let expected = bytes(
        """
        94000000 1000 0506 01000000 00000000
          00 00 0000 02000000 00000000 00000000
          0900 0300 65746830 00 000000
          0800 0400 ff040000
          0800 1f00 01000000
          0800 2000 01000000
          5000 1280
            0900 0100 76657468 00 000000
            4000 0280
              3c00 0180
                00 00 0000 6b000000 00000000 00000000
                0800 0300 62623700
                0800 0400 ff040000
                0800 1f00 01000000
                0800 2000 01000000
                0800 1c00 09000000
        """)
      #expect(Array(all.prefix(148)) == expected)
    }

    private let gate = PacketFilter.Gate(
      interface: 107,
      ways: [
        PacketFilter.Way(
          interface: 107, source: IPv4Address(0xC612_0107), destination: IPv4Address(0xC612_0001), port: 8080)
      ], slot: 5)

    @Test func `Opening a sandbox's ways is one transaction`() {
      // Begin; "watched": interface to slot; "allowed": interface, source, destination, port; end.
      let expected = bytes(
        """
        14000000 1000 0100 01000000 00000000  00 00 000a
        50000000 0c0a 0506 02000000 00000000  01 00 0000
          0e00 0100 626f74627572726f7700 0000
          0c00 0200 7761746368656400
          2000 0380 1c00 0180
            0c00 0180 0800 0100 6b000000
            0c00 0280 0800 0100 05000000
        50000000 0c0a 0506 03000000 00000000  01 00 0000
          0e00 0100 626f74627572726f7700 0000
          0c00 0200 616c6c6f77656400
          2000 0380 1c00 0180 1800 0180 1400 0100 6b000000 c6120107 c6120001 1f900000
        14000000 1100 0100 04000000 00000000  00 00 000a
        """)
      let batch = openMessages(gate)
      #expect(batch.bytes == expected)
      #expect(batch.acknowledged == 2)
    }

    @Test func `So is closing them, and the slot is emptied where there is something in it`() {
      let begin = bytes("14000000 1000 0100 01000000 00000000  00 00 000a")
      let closing = bytes(
        """
        44000000 0e0a 0500 02000000 00000000  01 00 0000
          0e00 0100 626f74627572726f7700 0000
          0c00 0200 7761746368656400
          1400 0380 1000 0180 0c00 0180 0800 0100 6b000000
        50000000 0e0a 0500 03000000 00000000  01 00 0000
          0e00 0100 626f74627572726f7700 0000
          0c00 0200 616c6c6f77656400
          2000 0380 1c00 0180 1800 0180 1400 0100 6b000000 c6120107 c6120001 1f900000
        """)
      let flush = bytes(
        """
        34000000 0e0a 0500 04000000 00000000  01 00 0000
          0e00 0100 626f74627572726f7700 0000
          0d00 0200 64656e6965642d3500 000000
        """)
      #expect(
        closeMessages(gate, empties: false).bytes
          == begin + closing + bytes("14000000 1100 0100 04000000 00000000  00 00 000a"))
      #expect(
        closeMessages(gate, empties: true).bytes
          == begin + closing + flush + bytes("14000000 1100 0100 05000000 00000000  00 00 000a"))
    }

    @Test func `A slot's listing is read`() {
      // As the kernel sends it: two elements with a counter each, 2 packets of 88 bytes and 1 of 44.
      let listing = bytes(
        """
        01 00 0007
        0e00 0100 626f74627572726f7700 0000
        0d00 0200 64656e6965642d3500 000000
        ac00 0380
          5400 0180
            2400 0180 2000 0100 6b000000 00000000 00000000 0000ffff cb007109 11000000 00350000
            2c00 0780 0c00 0100 636f756e74657200 1c00 0280
              0c00 0100 00000000 00000058 0c00 0200 00000000 00000002
          5400 0180
            2400 0180 2000 0100 6a000000 fd000000 00000000 00000000 00000001 06000000 1f900000
            2c00 0780 0c00 0100 636f756e74657200 1c00 0280
              0c00 0100 00000000 0000002c 0c00 0200 00000000 00000001
        """)
      let found = elements(NetlinkMessage(type: 0xa0c, content: listing[...]))
      #expect(found.map(\.interface) == [107, 106])
      #expect(found.map(\.packets) == [2, 1])
      // Only what is this interface's own.
      let denials = Denials(packets: 5, counted: found, interface: 107)
      #expect(
        denials.destinations == [.init(address: "203.0.113.9", transport: "udp", port: 53, packets: 2)])
      #expect(denials.packets == 5 && denials.overflow == 3)
    }
  }
#endif

@Suite("Netlink answers") struct NetlinkAnswerTests {
  private func answer(_ code: Int32, length: UInt32 = 36, type: UInt16 = 2) -> [UInt8] {
    var batch = NetlinkBatch()
    batch.put(length)
    batch.put(type)
    batch.put(UInt16(0))
    batch.put(UInt32(1))
    batch.put(UInt32(0))
    batch.put(code)
    return batch.bytes + [UInt8](repeating: 0, count: 16)
  }

  @Test func `Every acknowledgement is found, other messages are passed over`() {
    #expect(acknowledgements(answer(0)) == [0])
    #expect(acknowledgements(answer(0) + answer(-17)) == [0, -17])
    #expect(acknowledgements(answer(7, type: 3) + answer(-1)) == [-1])
  }

  @Test func `Messages and attributes that are cut off end it`() {
    #expect(messages(answer(0)[...] + [20, 0, 0]).count == 1)
    #expect(messages(answer(0, length: 37)[...]).isEmpty && messages(answer(0, length: 15)[...]).isEmpty)
    let attributes = NetlinkAttributes([6, 0, 7, 0x80, 1, 2, 0, 0, 5, 0, 9, 0, 1])
    #expect(attributes[7] == [1, 2] && attributes.bigEndian(7) == 258 && attributes[9] == [1])
    for bytes in [[], [3, 0, 0, 0], [9, 0, 7, 0, 1, 2], [4]] as [ArraySlice<UInt8>] {
      #expect(NetlinkAttributes(bytes).all.isEmpty)
    }
    #expect(elements(NetlinkMessage(type: 0xa0c, content: [1, 0])).isEmpty)
  }

  @Test func `Bytes that are no message end it`() {
    #expect(acknowledgements([]) == [])
    #expect(acknowledgements([UInt8](repeating: 0, count: 64)) == [])
    #expect(acknowledgements(answer(-1, length: 4)) == [])
    #expect(acknowledgements(answer(-1, length: .max)) == [-1])
    #expect(acknowledgements(Array(answer(-1).prefix(19))) == [])
  }
}
