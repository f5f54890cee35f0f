import Glibc
import Linux

/// The file that a debug build's supervisor looks at before every step (`BOTBURROW_FAULTS`).
public struct FaultFile: Sendable {
  /// For the supervisor's environment.
  public let path: String
  private let file: Descriptor
  private static let size = 4096

  /// Makes it, with this in it.
  public init(at path: String, _ text: String = "") throws {
    self.path = path
    file = try Descriptor.open(path, O_RDWR | O_CREAT | O_TRUNC)
    try set(text)
  }

  /// What shall happen from now on; nothing by default. One write of always the same length, for readers may come between.
  public func set(_ text: String = "") throws {
    let bytes = Array(text.utf8)
    let padded = bytes + [UInt8](repeating: 10, count: Self.size - bytes.count)
    let count = withExtendedLifetime(file) { pwrite(file.number, padded, padded.count, 0) }
    try check(count, "pwrite", path)
  }
}
