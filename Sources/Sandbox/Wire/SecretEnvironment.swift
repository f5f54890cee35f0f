import CPlan
import Glibc
import Linux

/// Variables of a sandbox's environment that stand in no message, plan or receipt: one sealed memfd that goes from the client
/// through the supervisor, which doesn't read it, to PID 1, which maps it and hands it to the program at exec.
public enum SecretEnvironment {
  /// Bytes of all texts; more is no environment but a file.
  public static let limit = 64 << 10
  /// Variables: PID 1 has room for so many.
  public static let countLimit = Int(PLAN_SECRETS_LIMIT)

  /// The memfd. Throws `SandboxRefused` for names and values that no environment can hold, or too much of them.
  static func sealed(_ variables: [String: String]) throws -> Descriptor {
    var bytes: [UInt8] = []
    for (name, value) in variables.sorted(by: { $0.key < $1.key }) {
      // The value is never shown.
      guard !name.isEmpty, !name.utf8.contains(where: { $0 == 0 || $0 == UInt8(ascii: "=") }), !value.utf8.contains(0)
      else { throw SandboxRefused("secret variable '\(name.prefix(64))' can't be in an environment") }
      bytes += Array("\(name)=\(value)".utf8) + [0]
    }
    guard (1...countLimit).contains(variables.count), bytes.count <= limit else {
      throw SandboxRefused(
        "\(variables.count) secret variables of \(bytes.count) bytes; 1 to \(countLimit) of \(limit) bytes together can be"
      )
    }
    return try Descriptor.sealed(bytes, name: "secrets")
  }

  /// Whether it can be what a client sends as secrets, by its seals and size alone.
  static func check(_ file: Descriptor) throws(LinuxError) {
    defer { withExtendedLifetime(file) {} }
    if !file.isSealed { throw LinuxError("take secrets", "", code: EPERM, advice: "send a sealed memfd") }
    var status = stat()
    try Linux.check(fstat(file.number, &status), "fstat", "secrets")
    guard (1...limit).contains(Int(status.st_size)) else {
      throw LinuxError("take secrets", "\(status.st_size) bytes", code: EFBIG, advice: "send 1 to \(limit) bytes")
    }
  }
}
