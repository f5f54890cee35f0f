import CLinux
import Glibc

/// Builds netlink messages (netlink(7)): 4-byte aligned, host byte order unless a family says otherwise.
public struct NetlinkBatch: Sendable {
  /// The messages as they go to the kernel.
  public private(set) var bytes: [UInt8] = []
  /// Messages that ask for an acknowledgement.
  public private(set) var acknowledged = 0
  private var sequence: UInt32 = 0
  private var start = 0

  /// An empty batch.
  public init() {}

  /// Appends one message; `build` writes its family header and attributes.
  public mutating func message(type: UInt16, flags: UInt16, _ build: (inout NetlinkBatch) -> Void) {
    start = bytes.count
    let header = start
    sequence += 1
    if flags & UInt16(NLM_F_ACK) != 0 { acknowledged += 1 }
    put(UInt32(0))
    put(type)
    put(flags | UInt16(NLM_F_REQUEST))
    put(sequence)
    put(UInt32(0))
    build(&self)
    patch(UInt32(bytes.count - header), at: header)
    pad()
  }

  /// Appends a C structure or number as it lies in memory.
  public mutating func put<Value: BitwiseCopyable>(_ value: Value) {
    withUnsafeBytes(of: value) { bytes.append(contentsOf: $0) }
  }

  /// Appends an attribute with raw content.
  public mutating func attribute(_ type: some BinaryInteger, _ content: some Collection<UInt8>) {
    put(UInt16(4 + content.count))
    put(UInt16(truncatingIfNeeded: type))
    bytes.append(contentsOf: content)
    pad()
  }

  /// Appends a 32-bit attribute in host byte order (rtnetlink).
  public mutating func attribute(_ type: some BinaryInteger, number: UInt32) {
    withUnsafeBytes(of: number) { attribute(type, $0) }
  }

  /// Appends a 32-bit attribute in network byte order (nfnetlink).
  public mutating func attribute(_ type: some BinaryInteger, bigEndian number: UInt32) {
    withUnsafeBytes(of: number.bigEndian) { attribute(type, $0) }
  }

  /// Appends a NUL-terminated text.
  public mutating func attribute(_ type: some BinaryInteger, text: String) {
    attribute(type, Array(text.utf8) + [0])
  }

  /// Appends an attribute that holds others.
  public mutating func nested(_ type: some BinaryInteger, _ build: (inout NetlinkBatch) -> Void) {
    let header = bytes.count
    put(UInt16(0))
    put(UInt16(truncatingIfNeeded: type) | 0x8000 /* NLA_F_NESTED */)
    build(&self)
    patch(UInt16(bytes.count - header), at: header)
    pad()
  }

  private mutating func pad() {
    while bytes.count % 4 != 0 { bytes.append(0) }
  }

  private mutating func patch<Value: BitwiseCopyable>(_ value: Value, at offset: Int) {
    withUnsafeBytes(of: value) { content in
      for (index, byte) in content.enumerated() { bytes[offset + index] = byte }
    }
  }
}

/// A netlink socket in the network namespace in which it was opened.
public struct NetlinkSocket: Sendable {
  fileprivate let descriptor: Descriptor
  fileprivate let family: String

  /// Routes, links and addresses (rtnetlink(7)).
  public static func route() throws(LinuxError) -> NetlinkSocket { try NetlinkSocket(NETLINK_ROUTE, "NETLINK_ROUTE") }
  /// nftables and its relatives.
  public static func netfilter() throws(LinuxError) -> NetlinkSocket {
    try NetlinkSocket(NETLINK_NETFILTER, "NETLINK_NETFILTER")
  }

  private init(_ number: Int32, _ family: String) throws(LinuxError) {
    let type = Int32(SOCK_RAW.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
    descriptor = Descriptor(owning: try check(socket(AF_NETLINK, type, number), "socket", family))
    self.family = family
  }

  /// Sends a batch and waits for every acknowledgement; the first refusal is thrown, with `object` in its text.
  public func exchange(_ batch: NetlinkBatch, _ object: @autoclosure () -> String) throws(LinuxError) {
    defer { withExtendedLifetime(descriptor) {} }
    let sent = batch.bytes.withUnsafeBytes { Glibc.send(descriptor.number, $0.baseAddress, $0.count, 0) }
    try check(sent, "send \(family)", object())
    var missing = batch.acknowledged
    var failure: Int32 = 0
    var buffer = [UInt8](repeating: 0, count: 16384)
    while missing > 0 {
      let count = buffer.withUnsafeMutableBytes { Glibc.recv(descriptor.number, $0.baseAddress, $0.count, 0) }
      if count < 0 && errno == EINTR { continue }
      try check(count, "recv \(family)", object())
      for code in acknowledgements(buffer[..<count]) {
        missing -= 1
        if code != 0 && failure == 0 { failure = -code }
      }
      // A batch that the kernel refused whole (nfnetlink) answers once for its begin message only.
      if failure != 0 && family == "NETLINK_NETFILTER" { break }
    }
    if failure != 0 {
      // What is left of this exchange must not answer the next one.
      while buffer.withUnsafeMutableBytes({
        Glibc.recv(descriptor.number, $0.baseAddress, $0.count, Int32(MSG_DONTWAIT))
      }) > 0 {}
      throw LinuxError(family, object(), code: failure)
    }
  }
}

extension NetlinkSocket {
  /// Sends one request and reads its answers up to the acknowledgement, or up to the end of a listing (NLM_F_DUMP).
  func query(_ request: NetlinkBatch, _ object: @autoclosure () -> String) throws(LinuxError) -> [NetlinkMessage] {
    defer { withExtendedLifetime(descriptor) {} }
    let sent = request.bytes.withUnsafeBytes { Glibc.send(descriptor.number, $0.baseAddress, $0.count, 0) }
    try check(sent, "send \(family)", object())
    var answers: [NetlinkMessage] = []
    // The kernel fits a listing's parts to what the reader has room for.
    var buffer = [UInt8](repeating: 0, count: 32768)
    while true {
      let count = buffer.withUnsafeMutableBytes { Glibc.recv(descriptor.number, $0.baseAddress, $0.count, 0) }
      if count < 0 && errno == EINTR { continue }
      try check(count, "recv \(family)", object())
      for message in messages(buffer[..<count]) {
        // NLMSG_ERROR and NLMSG_DONE both begin with an errno.
        guard message.type == 2 || message.type == 3 else {
          answers.append(message)
          continue
        }
        let code = message.content.withUnsafeBytes { $0.count < 4 ? 0 : $0.loadUnaligned(as: Int32.self) }
        if code != 0 { throw LinuxError(family, object(), code: -code) }
        return answers
      }
    }
  }
}

/// The errnos (negative, or 0) of all NLMSG_ERROR messages in what recv(2) gave.
func acknowledgements(_ bytes: some Collection<UInt8>) -> [Int32] {
  Array(bytes).withUnsafeBytes { buffer in
    var codes: [Int32] = []
    var offset = 0
    while offset + 20 <= buffer.count {
      let length = Int(buffer.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
      let type = buffer.loadUnaligned(fromByteOffset: offset + 4, as: UInt16.self)
      if length < 16 { break }
      if type == 2 /* NLMSG_ERROR */ {
        codes.append(buffer.loadUnaligned(fromByteOffset: offset + 16, as: Int32.self))
      }
      offset += (length + 3) & ~3
    }
    return codes
  }
}
