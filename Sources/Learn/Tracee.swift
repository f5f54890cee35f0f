import CLinux
import Glibc
import Linux

/// A thread whose call waits, seen through /proc and its memory. Everything here may fail or be stale: the thread can be
/// killed at any moment. Ask the listener afterwards whether the call still waits.
struct Tracee {
  let thread: pid_t

  /// The file that it runs.
  var program: String { link("exe").map { String($0.split(separator: "/").last ?? "") } ?? "?" }

  /// Effective user and group.
  var identity: Identity? {
    guard let text = try? readFile("/proc/\(thread)/status") else { return nil }
    func effective(_ key: String) -> UInt32? {
      text.split(separator: "\n").first { $0.hasPrefix(key) }?.split(separator: "\t").dropFirst(2).first.flatMap {
        UInt32($0)
      }
    }
    guard let uid = effective("Uid:"), let gid = effective("Gid:") else { return nil }
    return Identity(uid: uid, gid: gid)
  }

  /// Where a relative path starts: the working directory, or what a descriptor stands for.
  func directory(_ descriptor: UInt64?) -> String? {
    let number = descriptor.map { Int32(truncatingIfNeeded: $0) }
    let path = number == nil || number == -100 /* AT_FDCWD */ ? link("cwd") : link("fd/\(number ?? 0)")
    // `pipe:[1]` and the like are no directories.
    return path.flatMap { $0.hasPrefix("/") ? $0 : nil }
  }

  func text(_ address: UInt64) -> String? { address == 0 ? nil : readText(of: thread, at: address) }

  func word(_ address: UInt64) -> UInt64? {
    guard let bytes = readMemory(of: thread, at: address, count: 8), bytes.count == 8 else { return nil }
    return bytes.withUnsafeBytes { $0.loadUnaligned(as: UInt64.self) }
  }

  /// A `struct sockaddr` in its memory; nil for families that have no address here.
  func endpoint(_ address: UInt64, length: UInt64) -> Recording.Endpoint? {
    guard address != 0, (2...128).contains(length) else { return nil }
    return readMemory(of: thread, at: address, count: Int(length)).flatMap { Recording.Endpoint(socketAddress: $0) }
  }

  private func link(_ name: String) -> String? {
    var buffer = [UInt8](repeating: 0, count: 4096)
    let count = buffer.withUnsafeMutableBytes { bytes in
      bytes.bindMemory(to: CChar.self).baseAddress.map { readlink("/proc/\(thread)/\(name)", $0, bytes.count) } ?? -1
    }
    return count > 0 ? String(decoding: buffer[..<count], as: UTF8.self) : nil
  }
}

extension Recording.Endpoint {
  /// From the bytes of a `sockaddr_in`, `sockaddr_in6` or `sockaddr_un`.
  init?(socketAddress bytes: [UInt8]) {
    guard bytes.count >= 2 else { return nil }
    func port() -> UInt16 { UInt16(bytes[2]) << 8 | UInt16(bytes[3]) }
    switch Int32(bytes[0]) | Int32(bytes[1]) << 8 {
    case AF_INET where bytes.count >= 8:
      self.init(address: bytes[4..<8].map { "\($0)" }.joined(separator: "."), port: port())
    case AF_INET6 where bytes.count >= 24:
      var text = [UInt8](repeating: 0, count: 64)
      let written = text.withUnsafeMutableBytes { text in
        bytes[8..<24].withUnsafeBytes {
          inet_ntop(AF_INET6, $0.baseAddress, text.bindMemory(to: CChar.self).baseAddress, socklen_t(text.count))
        }
      }
      if written == nil { return nil }
      self.init(address: String(decoding: text.prefix { $0 != 0 }, as: UTF8.self), port: port())
    case AF_UNIX where bytes.count > 3:
      let name = bytes.dropFirst(2)
      let text = String(decoding: (name.first == 0 ? name.dropFirst() : name).prefix { $0 != 0 }, as: UTF8.self)
      self.init(address: name.first == 0 ? "@" + text : text, port: nil)
    default: return nil
    }
  }
}
