import CLinux
import Glibc

/// A system call that the kernel refused: what was done, to what, and the errno.
public struct LinuxError: Error, Sendable, Hashable, CustomStringConvertible {
  /// The system call or step, as its man page names it.
  public let operation: String
  /// Path, address or number that it was about.
  public let object: String
  /// errno(3)
  public let code: Int32
  /// What the operator can do about it, as a clause; empty where nothing general can be said.
  public let advice: String

  /// Makes an error from an errno that is at hand.
  public init(_ operation: String, _ object: String, code: Int32, advice: String = "") {
    self.operation = operation
    self.object = object
    self.code = code
    self.advice = advice
  }

  /// Makes an error from the calling thread's errno; call it before anything else can change that.
  public static func last(_ operation: String, _ object: String, advice: String = "") -> LinuxError {
    LinuxError(operation, object, code: errno, advice: advice)
  }

  /// `open /etc/x: ENOENT (No such file or directory)`, then the advice where there is one.
  public var description: String {
    let subject = object.isEmpty ? operation : "\(operation) \(object)"
    return "\(subject): \(errorName(code))" + (advice.isEmpty ? "" : "; \(advice)")
  }
}

/// `ENOENT (No such file or directory)`.
public func errorName(_ code: Int32) -> String {
  let words = strerror(code).map { String(cString: $0) } ?? "error \(code)"
  let short = cl_errno_name(code).map { String(cString: $0) }
  return short.map { "\($0) (\(words))" } ?? words
}

/// The number of an errno by its name (`ENOENT`); nil where there is no such name here.
public func errnoNumber(_ name: String) -> Int32? {
  // Linux has 133 of them; the loop leaves room.
  (1..<256).first { cl_errno_name($0).map { String(cString: $0) } == name }
}

/// The name of an errno (`ENOENT`), or its number where it has none.
public func errnoShortName(_ code: Int32) -> String { cl_errno_name(code).map { String(cString: $0) } ?? "\(code)" }

/// Gives the result of a call, or throws its errno.
@discardableResult
public func check<Number: SignedInteger>(
  _ result: Number, _ operation: String, _ object: @autoclosure () -> String
) throws(LinuxError) -> Number {
  if result < 0 { throw LinuxError.last(operation, object()) }
  return result
}
