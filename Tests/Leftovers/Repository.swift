import Glibc

/// Where the source tree and the built programs are.
public enum Repository {
  /// Of this file, without /Tests/Leftovers/Repository.swift.
  public static let root = "/" + #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
  /// The shipped ones.
  public static let profiles = root + "/profiles"
  /// The directory of the running test program, where SwiftPM puts every product.
  public static let products: String = {
    var buffer = [UInt8](repeating: 0, count: 4096)
    let count = buffer.withUnsafeMutableBytes { bytes in
      bytes.bindMemory(to: CChar.self).baseAddress.map { readlink("/proc/self/exe", $0, bytes.count) } ?? 0
    }
    let program = String(decoding: buffer[..<max(0, count)], as: UTF8.self)
    return program.split(separator: "/").dropLast().reduce("") { "\($0)/\($1)" }
  }()
  /// The command.
  public static let botburrow = products + "/botburrow"
}
