import CPlan
import Linux

/// One step of PID 1, in words and in numbers. The order of steps is `Plan`'s; carrying them out is botburrow-init's.
public enum InsideOperation: Sendable, Hashable {
  case setIdentity(uid: Int, gid: Int)
  case unshare(flags: Int)
  case hostname(String)
  case mount(type: String, at: String, flags: MountFlags, options: String)
  /// Waits until the supervisor has idmapped the mounts to this sandbox's ids, which it can only once there are such.
  case awaitMappedMounts
  /// Attaches the detached mount that travels as this descriptor of the plan.
  case attach(descriptor: Int, at: String)
  case makeDirectory(String, mode: Int)
  case copyFile(descriptor: Int, to: String, mode: Int)
  /// Keeps the texts of this descriptor for the program's environment, before the descriptor is closed.
  case mapSecrets(descriptor: Int)
  case write(String, to: String)
  case maskFile(String)
  case maskDirectory(String)
  case readOnly(String)
  case limit(ResourceLimit, Int)
  case dropBoundingSet
  case secureBits(Int)
  case noNewPrivileges
  case notDumpable
  case parentDeathSignal(Int)
  case dropCapabilities
  case landlock(LandlockPolicy)
  case closeDescriptors(from: Int)
  case seccomp([UInt8])
  case ready
  case run(Program)

  /// MS_* of mount(2).
  public struct MountFlags: OptionSet, Sendable, Hashable {
    /// The bits as mount(2) takes them.
    public let rawValue: Int
    /// From bits of mount(2).
    public init(rawValue: Int) { self.rawValue = rawValue }
    /// MS_RDONLY
    public static let readOnly = MountFlags(rawValue: 1)
    /// MS_NOSUID
    public static let noSetuid = MountFlags(rawValue: 2)
    /// MS_NODEV
    public static let noDevices = MountFlags(rawValue: 4)
    /// MS_NOEXEC
    public static let noExec = MountFlags(rawValue: 8)
  }
  /// RLIMIT_* of getrlimit(2).
  public enum ResourceLimit: Int, Sendable, Hashable {
    case fileSize = 1
    case core = 4
    case processes = 6
    case openFiles = 7
    case lockedMemory = 8
    case messageQueues = 12
  }
  /// What is run at the end.
  public struct Program: Sendable, Hashable {
    /// Paths to try in order.
    public var candidates: [String]
    /// Its `argv`; the first is the name as the request gave it.
    public var arguments: [String]
    /// `NAME=value`
    public var environment: [String]
    /// Variables that the plan doesn't hold come before these.
    public var hasSecrets = false
    /// Inside, entered after the root has changed.
    public var workingDirectory: String
  }
}

extension InsideOperation: CustomStringConvertible {
  /// The operation as errors and golden tests show it: its name, and what it is about.
  public var description: String { object.isEmpty ? name : "\(name) \(object)" }

  /// What is done.
  public var name: String {
    switch self {
    case .setIdentity: "set identity"
    case .unshare: "unshare"
    case .hostname: "set hostname"
    case .mount(let type, _, _, _): "mount \(type)"
    case .awaitMappedMounts: "await mapped mounts"
    case .attach: "attach mount"
    case .makeDirectory: "make directory"
    case .copyFile: "copy file"
    case .mapSecrets: "map secrets"
    case .write: "write"
    case .maskFile: "mask file"
    case .maskDirectory: "mask directory"
    case .readOnly: "make read-only"
    case .limit: "limit"
    case .dropBoundingSet: "drop bounding set"
    case .secureBits: "set securebits"
    case .noNewPrivileges: "set no_new_privs"
    case .notDumpable: "set not dumpable"
    case .parentDeathSignal: "set parent death signal"
    case .dropCapabilities: "drop capabilities"
    case .landlock: "restrict by Landlock"
    case .closeDescriptors: "close descriptors"
    case .seccomp: "install seccomp filter"
    case .ready: "report ready"
    case .run: "run"
    }
  }

  /// Path, number or text that it is about.
  public var object: String {
    switch self {
    case .setIdentity(let uid, let gid): "uid \(uid) gid \(gid)"
    case .unshare(let flags): "0x\(String(flags, radix: 16))"
    case .hostname(let name): name
    case .mount(_, let path, let flags, let options): "on \(path) (\(flags.words)\(options))"
    case .attach(let descriptor, let path): "\(descriptor) on \(path)"
    case .makeDirectory(let path, let mode): "\(path) (\(octal(mode)))"
    case .copyFile(let descriptor, let path, let mode): "\(descriptor) to \(path) (\(octal(mode)))"
    case .mapSecrets(let descriptor): "\(descriptor)"
    case .maskFile(let path), .maskDirectory(let path), .readOnly(let path): path
    case .write(let text, let path): "'\(text)' to \(path)"
    case .limit(let resource, let value): "\(resource) \(value)"
    case .secureBits(let bits): "0x\(String(bits, radix: 16))"
    case .parentDeathSignal(let signal): "\(signal)"
    case .landlock(let policy): policy.description
    case .closeDescriptors(let first): "from \(first)"
    case .run(let program): program.arguments.first ?? ""
    case .awaitMappedMounts, .dropBoundingSet, .noNewPrivileges, .notDumpable, .dropCapabilities, .seccomp, .ready:
      ""
    }
  }
}

private func octal(_ mode: Int) -> String { String(mode, radix: 8) }

extension InsideOperation.MountFlags {
  fileprivate var words: String {
    let names: [(Self, String)] = [
      (.readOnly, "ro"), (.noSetuid, "nosuid"), (.noDevices, "nodev"), (.noExec, "noexec"),
    ]
    return names.filter { contains($0.0) }.map { $0.1 + "," }.joined()
  }
}
