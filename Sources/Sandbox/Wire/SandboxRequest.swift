import JSON
import Linux

/// What a runner asks the supervisor for. It names a profile; it can't name a mount, a uid or a syscall.
public struct SandboxRequest: Sendable, Codable, Hashable {
  /// UUID; names cgroup and receipt.
  public var activationID: String
  public var profile: String
  public var arguments: [String]
  public var environment: [String: String]
  /// TCP ports of the gateway address on which this activation's listeners are opened, each with a name ("hub").
  public var listeners: [Listener]
  /// Files under `/run/agent`, in the order of the descriptors that travel with the request.
  public var files: [File]
  public var limits: Limits
  public var workingDirectory: String?

  public struct Listener: Sendable, Codable, Hashable {
    public var name: String
    public var port: UInt16
    public init(name: String, port: UInt16) { self.name = name; self.port = port }
  }
  public struct File: Sendable, Codable, Hashable {
    /// Relative to `/run/agent`, no `..`.
    public var path: String
    public init(path: String) { self.path = path }
  }
  /// May only tighten the profile's.
  public struct Limits: Sendable, Codable, Hashable {
    public var memoryBytes: Int?
    public var cpus: Double?
    public var pids: Int?
    public var timeoutSeconds: Double?
    public init(memoryBytes: Int? = nil, cpus: Double? = nil, pids: Int? = nil, timeoutSeconds: Double? = nil) {
      self.memoryBytes = memoryBytes
      self.cpus = cpus
      self.pids = pids
      self.timeoutSeconds = timeoutSeconds
    }
  }
  public init(
    activationID: String, profile: String, arguments: [String], environment: [String: String] = [:],
    listeners: [Listener] = [], files: [File] = [], limits: Limits = Limits(), workingDirectory: String? = nil
  ) {
    self.activationID = activationID
    self.profile = profile
    self.arguments = arguments
    self.environment = environment
    self.listeners = listeners
    self.files = files
    self.limits = limits
    self.workingDirectory = workingDirectory
  }
}

/// The gateway address as every sandbox sees it.
public let gatewayAddress = "198.18.0.1"

/// A program's output and its receipt.
public struct SandboxResult: Sendable {
  public var output: [UInt8]
  /// More came than the limit kept.
  public var outputTruncated: Bool
  /// The last part of standard error.
  public var errorOutput: [UInt8]
  public var receipt: Receipt
  public init(output: [UInt8], outputTruncated: Bool = false, errorOutput: [UInt8] = [], receipt: Receipt) {
    self.output = output
    self.outputTruncated = outputTruncated
    self.errorOutput = errorOutput
    self.receipt = receipt
  }
}

/// Runs a program in a sandbox; what tests replace. Cancelling the task ends the sandbox.
public protocol SandboxLauncher: Sendable {
  /// - Parameters:
  ///   - files: contents of `request.files`, in that order.
  ///   - serve: called once, before the program starts, with a listening socket per `request.listeners` name
  ///     (the callee owns the descriptors).
  func run(
    _ request: SandboxRequest, files: [[UInt8]], input: [UInt8], outputLimit: Int,
    serve: @escaping @Sendable ([String: Int32]) async throws -> Void
  ) async throws -> SandboxResult
}
