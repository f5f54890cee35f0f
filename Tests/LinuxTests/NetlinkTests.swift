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
        64000000 1000 0506 01000000 00000000
          00 00 0000 02000000 00000000 00000000
          0900 0300 65746830 00 000000
          3800 1280
            0900 0100 76657468 00 000000
            2800 0280
              2400 0180
                00 00 0000 6b000000 00000000 00000000
                0800 0300 62623700
                0800 1c00 09000000
        """)
      #expect(Array(all.prefix(100)) == expected)
    }

    @Test func `Opening a way is one transaction`() {
      let way = PacketFilter.Way(
        interface: 107, source: IPv4Address(0xC612_0107), destination: IPv4Address(0xC612_0001), port: 8080)
      let batch = elementMessages(UInt16(NFT_MSG_NEWSETELEM.rawValue), [way])
      // Begin; table "botburrow", set "allowed", one element of interface, source, destination, port; end.
      let expected = bytes(
        """
        14000000 1000 0100 01000000 00000000  00 00 000a
        50000000 0c0a 0506 02000000 00000000  01 00 0000
          0e00 0100 626f74627572726f7700 0000
          0c00 0200 616c6c6f77656400
          2000 0380 1c00 0180 1800 0180 1400 0100 6b000000 c6120107 c6120001 1f900000
        14000000 1100 0100 03000000 00000000  00 00 000a
        """)
      #expect(batch.bytes == expected)
      #expect(batch.acknowledged == 1)
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

  @Test func `Bytes that are no message end it`() {
    #expect(acknowledgements([]) == [])
    #expect(acknowledgements([UInt8](repeating: 0, count: 64)) == [])
    #expect(acknowledgements(answer(-1, length: 4)) == [])
    #expect(acknowledgements(answer(-1, length: .max)) == [-1])
    #expect(acknowledgements(Array(answer(-1).prefix(19))) == [])
  }
}
