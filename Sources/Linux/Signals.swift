import CLinux
import Glibc

/// Signals as something to poll(2) for, instead of code that runs anywhere (signalfd(2)).
public struct SignalWatch: Sendable {
  /// Readable when a signal came.
  public let descriptor: Descriptor

  /// Blocks these signals in the calling thread and those it starts from now on, and watches for them.
  public init(_ signals: [Int32]) throws(LinuxError) {
    let number = signals.withUnsafeBufferPointer { cl_signalfd($0.baseAddress, Int32($0.count)) }
    descriptor = Descriptor(owning: try check(number, "signalfd", "\(signals)"))
  }

  /// Waits for the next signal.
  public func next() throws(LinuxError) -> Int32 {
    defer { withExtendedLifetime(descriptor) {} }
    return try check(cl_next_signal(descriptor.number), "read", "signalfd")
  }
}
