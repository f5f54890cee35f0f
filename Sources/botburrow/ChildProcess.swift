import Glibc
import Linux

/// A process that `up` keeps running.
final class ChildProcess {
  let name: String
  private let arguments: [String]
  private let environment: [String]
  private let extraDescriptor: Descriptor?
  private var process: ProcessHandle?
  private var failures = 0
  private var startedAt = ContinuousClock.now
  /// When it is to be started again.
  private(set) var restartAt: ContinuousClock.Instant?

  init(name: String, arguments: [String], environment: [String], extraDescriptor: Descriptor? = nil) {
    self.name = name
    self.arguments = arguments
    self.environment = environment
    self.extraDescriptor = extraDescriptor
  }

  func start() throws(LinuxError) {
    let null = try Descriptor.open("/dev/null")
    // Its output is our standard error: our standard output is for the operator.
    let descriptors = [null, Descriptor.borrowed(2), Descriptor.borrowed(2), extraDescriptor]
    let program = arguments[0] == Places.executable ? "/proc/self/exe" : arguments[0]
    // A group of its own: Ctrl-C is for us, and we end them in the right order.
    process = try ProcessHandle(
      child: try spawn(program, arguments, environment: environment, descriptors: descriptors, ownGroup: true))
    startedAt = .now
    restartAt = nil
  }

  /// How it ended, once; nil while it runs.
  func ended() throws(LinuxError) -> ProcessEnd? {
    guard let process, let end = try process.wait(now: true) else { return nil }
    self.process = nil
    return end
  }

  /// Half a second, doubled up to eight while it keeps dying young.
  func scheduleRestart() -> Duration {
    failures = ContinuousClock.now - startedAt > .seconds(30) ? 0 : failures + 1
    let wait = Duration.milliseconds(250) * (1 << min(failures, 5))
    restartAt = ContinuousClock.now + wait
    return wait
  }

  func terminate() {
    do { try process?.signal(SIGTERM) } catch { complain("\(name): \(error)") }
  }

  /// Waits; after that it is killed.
  func awaitEnd(_ patience: Duration) {
    guard let process else { return }
    do {
      if try !waitReadable([process.descriptor], timeout: patience)[0] {
        complain("\(name) did not end within \(patience.seconds) s and is killed")
        try process.signal(SIGKILL)
      }
      _ = try process.wait()
    } catch { complain("\(name): \(error)") }
    self.process = nil
  }
}
