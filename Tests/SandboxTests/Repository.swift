import Glibc

/// Where the source tree and the built programs are.
enum Repository {
  /// Of this file, without /Tests/SandboxTests/Repository.swift.
  static let root = "/" + #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
  static let profiles = root + "/profiles"
  /// The directory of the running test program, where SwiftPM puts every product.
  static let products: String = {
    var buffer = [UInt8](repeating: 0, count: 4096)
    let count = buffer.withUnsafeMutableBytes { bytes in
      bytes.bindMemory(to: CChar.self).baseAddress.map { readlink("/proc/self/exe", $0, bytes.count) } ?? 0
    }
    let program = String(decoding: buffer[..<max(0, count)], as: UTF8.self)
    return program.split(separator: "/").dropLast().reduce("") { "\($0)/\($1)" }
  }()
  static let botburrow = products + "/botburrow"
}
