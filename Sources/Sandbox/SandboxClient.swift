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

/// How the sandboxed program ended.
public enum ExitCause: Sendable, Hashable {
  case exited(code: Int)
  case signal(Int)
  case timeout
  case oom
  case cancelled
  /// The program never ran: which operation failed, on what, with which errno text.
  case setupFailed(operation: String, object: String, reason: String)
}

/// The gateway address as every sandbox sees it.
public let gatewayAddress = "198.18.0.1"
