import JSON
import Linux

/// What a runner asks the supervisor for. It names a profile; it can't name a mount, a uid or a syscall.
public struct SandboxRequest: Sendable, Hashable {
  /// UUID; names cgroup and receipt.
  public var activationID: String
  /// Name of an administrator's profile.
  public var profile: String
  /// `argv` of the program; a name without a slash is looked up in the sandbox's PATH.
  public var arguments: [String]
  /// Variables on top of the profile's.
  public var environment: [String: String]
  /// TCP ports of the gateway address on which this activation's listeners are opened, each with a name ("hub").
  public var listeners: [Listener]
  /// Files under `/run/agent`, in the order of the descriptors that travel with the request.
  public var files: [File]
  /// More of the environment travels as one sealed memfd, which the supervisor hands on unread: "NAME=value" texts, each with
  /// its NUL. No message, plan or receipt holds it.
  public var hasSecrets: Bool
  /// Less than the profile allows, where less will do.
  public var limits: Limits
  /// Absolute path inside; nil: the environment's HOME.
  public var workingDirectory: String?
  /// The agent whose persistent workspace is mounted where the profile has a place for one; nil: what is written there is
  /// gone afterwards.
  public var workspace: String?
  /// What else the request gives up of its profile; nil for nothing.
  public var tightening: Tightening?
  /// The supervisor ends the sandbox then, unless its client puts that off; nil: only the time limit counts.
  public var term: BootTime?

  /// A TCP port of the gateway address that is open for this activation alone.
  public struct Listener: Sendable, Hashable {
    /// What the client knows it by; unique in the request.
    public var name: String
    /// 1…65535, unique in the request.
    public var port: UInt16
    /// Names a port.
    public init(name: String, port: UInt16) { self.name = name; self.port = port }
  }
  /// A file whose content travels with the request.
  public struct File: Sendable, Hashable {
    /// Relative to `/run/agent`, no `..`.
    public var path: String
    /// Names a place.
    public init(path: String) { self.path = path }
  }
  /// May only tighten the profile's.
  public struct Limits: Sendable, Hashable {
    /// `memory.max`, bytes.
    public var memoryBytes: Int?
    /// `cpu.max`, cores.
    public var cpus: Double?
    /// `pids.max`, processes and threads.
    public var pids: Int?
    /// Wall-clock seconds.
    public var timeoutSeconds: Double?
    /// Size of the workspace, bytes.
    public var workspaceBytes: Int?
    /// Nil leaves the profile's.
    public init(
      memoryBytes: Int? = nil, cpus: Double? = nil, pids: Int? = nil, timeoutSeconds: Double? = nil,
      workspaceBytes: Int? = nil
    ) {
      self.memoryBytes = memoryBytes
      self.cpus = cpus
      self.pids = pids
      self.timeoutSeconds = timeoutSeconds
      self.workspaceBytes = workspaceBytes
    }
  }
  /// Asks for the profile's own limits and no network unless told.
  public init(
    activationID: String, profile: String, arguments: [String], environment: [String: String] = [:],
    listeners: [Listener] = [], files: [File] = [], limits: Limits = Limits(), workingDirectory: String? = nil,
    workspace: String? = nil, hasSecrets: Bool = false
  ) {
    self.activationID = activationID
    self.profile = profile
    self.arguments = arguments
    self.environment = environment
    self.listeners = listeners
    self.files = files
    self.limits = limits
    self.workingDirectory = workingDirectory
    self.workspace = workspace
    self.hasSecrets = hasSecrets
  }
}

/// The gateway address as every sandbox sees it.
public let gatewayAddress = "198.18.0.1"

/// A program's output and its receipt.
public struct SandboxResult: Sendable {
  /// The beginning of standard output.
  public var output: [UInt8]
  /// More came than the limit kept.
  public var outputTruncated: Bool
  /// The last part of standard error.
  public var errorOutput: [UInt8]
  /// How it ended, and what the kernel said of its walls.
  public var receipt: Receipt
  /// Puts a result together.
  public init(output: [UInt8], outputTruncated: Bool = false, errorOutput: [UInt8] = [], receipt: Receipt) {
    self.output = output
    self.outputTruncated = outputTruncated
    self.errorOutput = errorOutput
    self.receipt = receipt
  }
}

/// Runs a program in a sandbox; what tests replace. Cancelling the task ends the sandbox, and no receipt comes.
public protocol SandboxLauncher: Sendable {
  /// - Parameters:
  ///   - files: contents of `request.files`, in that order.
  ///   - serve: called once, before the program starts, with a listening socket per `request.listeners` name
  ///     (the callee owns the descriptors).
  ///   - end: ends the sandbox from elsewhere, with a receipt, and says its term; nil for nobody who would.
  func run(
    _ request: SandboxRequest, files: [[UInt8]], input: [UInt8], outputLimit: Int, end: SandboxEnd?,
    serve: @escaping @Sendable ([String: Int32]) async throws -> Void
  ) async throws -> SandboxResult
}

extension SandboxLauncher {
  /// The same, with nobody who would end it.
  public func run(
    _ request: SandboxRequest, files: [[UInt8]], input: [UInt8], outputLimit: Int,
    serve: @escaping @Sendable ([String: Int32]) async throws -> Void
  ) async throws -> SandboxResult {
    try await run(request, files: files, input: input, outputLimit: outputLimit, end: nil, serve: serve)
  }
}
