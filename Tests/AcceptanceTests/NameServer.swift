import Glibc
import Linux
import Synchronization

/// A name server of a test's own (RFC 1035), on port 53 of an address of loopback: the n-th question for a name gets its n-th
/// address, the last one from then on. It answers A alone; it ends with the object.
final class NameServer: Sendable {
  private struct Name {
    var addresses: [String]
    var asked = 0
  }
  private let names = Mutex<[String: Name]>([:])
  private let socket: Descriptor

  init(address: String) throws {
    let number = Glibc.socket(AF_INET, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    socket = Descriptor(owning: number)
    var place = sockaddr_in()
    place.sin_family = sa_family_t(AF_INET)
    place.sin_port = in_port_t(53).bigEndian
    place.sin_addr.s_addr = inet_addr(address)
    let bound = withUnsafePointer(to: &place) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(number, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
    try check(bound, "bind", "\(address):53")
    Thread.detach { [weak self, socket] in
      while let self { self.serveOne(socket) }
    }
  }

  func set(_ name: String, _ addresses: [String]) { names.withLock { $0[name] = Name(addresses: addresses) } }
  func asked(_ name: String) -> Int { names.withLock { $0[name]?.asked ?? 0 } }

  private func serveOne(_ socket: Descriptor) {
    // A short wait, so that the object's end is seen.
    guard let readable = try? waitReadable([socket], timeout: .milliseconds(200)), readable[0] else { return }
    var packet = [UInt8](repeating: 0, count: 512)
    var peer = sockaddr_in()
    var size = socklen_t(MemoryLayout<sockaddr_in>.size)
    let count = withUnsafeMutablePointer(to: &peer) { peer in
      peer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        recvfrom(socket.number, &packet, packet.count, 0, $0, &size)
      }
    }
    guard count > 12, let answer = answer(to: Array(packet[..<count])) else { return }
    _ = withUnsafePointer(to: &peer) { peer in
      peer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        sendto(socket.number, answer, answer.count, 0, $0, size)
      }
    }
  }

  private func answer(to packet: [UInt8]) -> [UInt8]? {
    var place = 12
    var labels: [String] = []
    while place < packet.count, packet[place] > 0 {
      let end = place + 1 + Int(packet[place])
      guard end < packet.count else { return nil }
      labels.append(String(decoding: packet[(place + 1)..<end], as: UTF8.self))
      place = end
    }
    guard place + 5 <= packet.count else { return nil }
    let question = packet[12..<(place + 5)]
    let isA = packet[place + 1] == 0 && packet[place + 2] == 1
    let name = labels.joined(separator: ".").lowercased()
    let address = names.withLock { names -> String? in
      guard isA, var known = names[name] else { return nil }
      defer { names[name] = known }
      known.asked += 1
      return known.addresses[min(known.asked, known.addresses.count) - 1]
    }
    let isKnown = names.withLock { $0[name] != nil }
    var answer = Array(packet[..<2]) + [0x81, isKnown ? 0x80 : 0x83, 0, 1, 0, address == nil ? 0 : 1, 0, 0, 0, 0]
    answer += question
    if let address {
      answer += [0xC0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4] + address.split(separator: ".").compactMap { UInt8($0) }
    }
    return answer
  }
}
