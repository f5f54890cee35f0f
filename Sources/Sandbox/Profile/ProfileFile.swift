import Crypto
import Linux
import YAML

/// Reads profiles from files, with the profiles that they extend.
public enum ProfileFile {
  /// A profile, where each of its rules comes from, and the digest of the files that say so.
  public struct Loaded: Sendable, Hashable {
    /// What the files say together.
    public var profile: Profile
    /// Of one file: `sha256:` and its SHA-256. Of several: the SHA-256 of what sha256sum(1) prints of them, the profile's
    /// own first, then its parents', each followed by the Docker or OCI file that it names.
    public var digest: String
    /// Where each rule stands. Rules without an origin are defaults.
    public var origins: [ProfileRule: ProfileOrigin]
    /// Every file that was read, the profile's own first.
    public var files: [String]
  }

  /// Longer chains are nobody's intention.
  static let longestChain = 16

  /// Reads a profile by name.
  public static func load(_ name: String, from source: ProfileSource) throws(ProfileError) -> Loaded {
    guard isProfileName(name) else { throw .badName(name) }
    let bytes: [UInt8]
    do throws(LinuxError) { bytes = try source.read("\(name).yaml") } catch {
      throw error.code == 2
        ? .absent(name, path: source.path(of: "\(name).yaml"), present: source.names()) : .unreadable(name, error)
    }
    do throws(YAMLErrors) {
      return try parse(bytes, file: source.path(of: "\(name).yaml"), name: name, beside: source)
    } catch { throw .wrong(name, error) }
  }

  /// Reads one profile. `file` names it in errors; `name` is its name; `source` is where the profiles are that it extends.
  public static func parse(
    _ bytes: [UInt8], file: String, name: String, beside source: ProfileSource = .empty
  ) throws(YAMLErrors) -> Loaded {
    var chain = [try File(name: name, path: file, bytes: bytes, beside: source)]
    while let parent = chain.last?.layer.parent, let child = chain.last {
      chain.append(try read(parent, of: child, after: chain, from: source))
    }
    return try resolve(chain)
  }

  /// One profile's file, and the Docker or OCI file that it names.
  private struct File {
    var name: String
    var path: String
    var bytes: [UInt8]
    var layer: ProfileLayer
    var oci: (name: String, path: String, bytes: [UInt8], rules: OCISeccomp)?

    init(name: String, path: String, bytes: [UInt8], beside source: ProfileSource) throws(YAMLErrors) {
      self.name = name
      self.path = path
      self.bytes = bytes
      layer = try YAML.read(bytes, file: path, ProfileLayer.init)
      guard let oci = layer.oci else { return }
      do {
        let bytes = try source.read(oci.value)
        self.oci = (oci.value, source.path(of: oci.value), bytes, try OCISeccompFile.parse(bytes))
      } catch {
        throw YAMLErrors([
          YAMLError(
            file: path, position: oci.position, sentence: "'oci' names '\(oci.value)', which can't be used: \(error)")
        ])
      }
    }

    /// What it changes, in order. The rules of the other file come first, so that `remove` can take from them.
    var changes: [ProfileChange] {
      guard let oci, let position = layer.oci?.position else { return layer.changes }
      let change = ProfileChange(
        rule: ProfileRule("syscalls.oci"), position: position,
        effect: .states { profile in
          profile.syscalls = SeccompPolicy(
            allowed: [], denied: profile.syscalls.denied, unknown: profile.syscalls.unknown)
          profile.syscalls.oci = oci.rules
          profile.syscalls.oci?.file = oci.name
        }, replacesAll: ["syscalls.allow", "syscalls.when", "syscalls.errno"])
      return [change] + layer.changes
    }
  }

  private static func read(
    _ parent: YAMLPlaced<String>, of child: File, after chain: [File], from source: ProfileSource
  ) throws(YAMLErrors) -> File {
    func wrong(_ sentence: String) -> YAMLErrors {
      YAMLErrors([YAMLError(file: child.path, position: parent.position, sentence: sentence)])
    }
    let names = chain.map(\.name)
    if names.contains(parent.value) {
      throw wrong("'extends' leads back to '\(parent.value)': \((names + [parent.value]).joined(separator: " → "))")
    }
    if chain.count == longestChain { throw wrong("'extends' makes a chain of more than \(longestChain) profiles") }
    let file = "\(parent.value).yaml"
    let path = source.path(of: file)
    let bytes: [UInt8]
    do throws(LinuxError) { bytes = try source.read(file) } catch {
      let present = source.names().joined(separator: ", ")
      throw wrong(
        error.code == 2
          ? "'extends' names '\(parent.value)', but \(path) doesn't exist; there are: \(present)"
          : "'extends' names '\(parent.value)', which can't be read: \(error)")
    }
    return try File(name: parent.value, path: path, bytes: bytes, beside: source)
  }

  /// Makes the changes of each file upon those of its parents.
  private static func resolve(_ chain: [File]) throws(YAMLErrors) -> Loaded {
    var profile = Profile.unsaid(name: chain[0].name)
    profile.parents = chain.dropFirst().map(\.name)
    var origins: [ProfileRule: ProfileOrigin] = [:]
    var problems: [YAMLError] = []
    for file in chain.reversed() {
      for change in file.changes {
        if let problem = objection(to: change, profile, origins) {
          problems.append(YAMLError(file: file.path, position: change.position, sentence: problem))
        }
        for rule in change.replaces { origins[rule] = nil }
        for rule in origins.keys where change.replacesAll.contains(rule.key) { origins[rule] = nil }
        switch change.effect {
        case .states(let apply):
          origins[change.rule] = ProfileOrigin(file: file.path, position: change.position)
          apply(&profile)
        case .removes(let apply):
          origins[change.rule] = nil
          apply(&profile)
        }
      }
    }
    problems += contradictions(profile, origins)
    if !problems.isEmpty { throw YAMLErrors(problems) }
    let files = chain.flatMap { file in
      [(file.name + ".yaml", file.path, file.bytes)] + (file.oci.map { [($0.name, $0.path, $0.bytes)] } ?? [])
    }
    return Loaded(
      profile: profile, digest: digest(files.map { ($0.0, $0.2) }), origins: origins, files: files.map(\.1))
  }

  /// What is wrong with a change as things are at that point of the chain.
  private static func objection(
    to change: ProfileChange, _ profile: Profile, _ origins: [ProfileRule: ProfileOrigin]
  ) -> String? {
    let (key, item) = (change.rule.key, change.rule.item)
    if case .removes = change.effect {
      // From rules of another form nothing is taken out; they are overruled.
      if profile.syscalls.oci != nil, key == "syscalls.allow" { return nil }
      if ([change.rule] + change.replaces).contains(where: { origins[$0] != nil }) { return nil }
      return "'remove' takes '\(item)' away, but no parent has it in '\(key)'"
    }
    if profile.syscalls.oci != nil, ["syscalls.allow", "syscalls.when", "syscalls.errno"].contains(key) {
      let name = key.dropFirst("syscalls.".utf8.count)
      return "'\(name)' of '\(item)' has no effect beside a parent's 'oci'; write it into that file"
    }
    return nil
  }

  /// What no single file can be told apart for.
  private static func contradictions(_ profile: Profile, _ origins: [ProfileRule: ProfileOrigin]) -> [YAMLError] {
    func error(_ rule: ProfileRule, _ sentence: String) -> YAMLError? {
      origins[rule].map { YAMLError(file: $0.file, position: $0.position, sentence: sentence) }
    }
    var errors: [YAMLError?] = []
    if let high = profile.limits.memoryHigh, high > profile.limits.memory {
      let (high, most) = (YAMLUnits.text(byteSize: high), YAMLUnits.text(byteSize: profile.limits.memory))
      errors.append(
        error(ProfileRule("limits.memory_high"), "'memory_high' is \(high), more than 'memory', which is \(most)"))
    }
    if let path = profile.workspace?.path, profile.scratch.contains(where: { $0.path == path }) {
      errors.append(error(ProfileRule("scratch", path), "'\(path)' is the 'workspace'; it can't be 'scratch' as well"))
    }
    if let path = profile.workspace?.path {
      // Mount points are looked up in what is mounted already; in a workspace the agent decides what a name leads to.
      for other in profile.scratch.map(\.path) where other.hasPrefix(path + "/") {
        errors.append(error(ProfileRule("scratch", other), "'\(other)' can't be in '\(path)', the 'workspace'"))
      }
      for other in profile.scratch.map(\.path) where path.hasPrefix(other + "/") {
        errors.append(error(ProfileRule("workspace"), "'\(path)', the 'workspace', can't be in 'scratch' '\(other)'"))
      }
    }
    return errors.compactMap { $0 }
  }

  private static func digest(_ files: [(name: String, bytes: [UInt8])]) -> String {
    let digests = files.map { SHA256.hash(data: $0.bytes).map { hexadecimal($0) }.joined() }
    if digests.count == 1 { return "sha256:\(digests[0])" }
    let listing = zip(digests, files).map { "\($0)  \($1.name)\n" }.joined()
    return "sha256:" + SHA256.hash(data: Array(listing.utf8)).map { hexadecimal($0) }.joined()
  }
}

/// Where a rule stands.
public struct ProfileOrigin: Sendable, Hashable {
  /// As the file was named.
  public var file: String
  /// Where the value begins.
  public var position: YAMLPosition
}

/// A directory of profiles, or what stands for one.
public struct ProfileSource: Sendable {
  private let directory: String
  private let reading: @Sendable (_ file: String) throws(LinuxError) -> [UInt8]
  private let listing: @Sendable () -> [String]

  /// The files of a directory.
  public init(directory: String) {
    self.directory = directory
    reading = { file throws(LinuxError) in try Descriptor.open("\(directory)/\(file)").readAll(limit: 1 << 20) }
    listing = { (try? Linux.files(in: directory)) ?? [] }
  }

  /// Files by name.
  public init(files: [String: String]) {
    directory = ""
    reading = { file throws(LinuxError) in
      guard let text = files[file] else { throw LinuxError("open", file, code: 2) }
      return Array(text.utf8)
    }
    listing = { Array(files.keys) }
  }

  /// No file.
  public static let empty = ProfileSource(files: [:])

  /// A file's content.
  func read(_ file: String) throws(LinuxError) -> [UInt8] { try reading(file) }
  /// How errors name a file.
  func path(of file: String) -> String { directory.isEmpty ? file : "\(directory)/\(file)" }
  /// The profiles that there are, in order.
  public func names() -> [String] {
    listing().filter { $0.hasSuffix(".yaml") }.map { String($0.dropLast(5)) }.filter(isProfileName).sorted()
  }
}

/// Why a profile can't be had.
public enum ProfileError: Error, Sendable, Hashable, CustomStringConvertible {
  /// No name of a profile.
  case badName(String)
  /// There is no such file; `present` are those that there are.
  case absent(String, path: String, present: [String])
  /// The kernel won't let us read it.
  case unreadable(String, LinuxError)
  /// It says something wrong.
  case wrong(String, YAMLErrors)

  /// One sentence, or one for each thing that is wrong.
  public var description: String {
    switch self {
    case .badName(let name): "profile '\(name)' must be a name of small letters, digits and '-'"
    case .absent(let name, let path, let present):
      "profile '\(name)' isn't there: \(path) doesn't exist; the profiles here are \(present.joined(separator: ", "))"
    case .unreadable(let name, let error): "profile '\(name)' can't be used: \(error)"
    case .wrong(let name, let errors): "profile '\(name)' can't be used: \(errors)"
    }
  }
}

extension Profile {
  /// What holds where nobody says anything, and stand-ins for what somebody must say.
  fileprivate static func unsaid(name: String) -> Profile {
    Profile(
      name: name, description: "", readOnly: [], scratch: [], uid: 1000, gid: 1000, network: .gateway,
      controlGroup: .required,
      limits: Limits(memory: 0, swap: 0, cpus: 0, pids: 0, openFiles: 1024, fileSize: 1 << 30, timeout: .zero),
      environment: [:], hostname: "sandbox", masked: [], readOnlyProc: [], syscalls: SeccompPolicy(allowed: []))
  }
}

/// Two hexadecimal digits.
func hexadecimal(_ byte: UInt8) -> String {
  (byte < 16 ? "0" : "") + String(byte, radix: 16)
}
