import JSON
import Linux

/// Reads seccomp profiles in the form of Docker and OCI.
enum OCISeccompFile {
  /// What rules may depend on. Capabilities are not among it: a sandbox has none, so what a file allows to holders of one
  /// isn't allowed, and what it keeps from them isn't kept.
  struct Host: Sendable {
    /// As Docker names it (Go's GOARCH, mostly).
    var architecture: String
    /// Major and minor number.
    var kernel: (major: Int, minor: Int)

    #if arch(x86_64)
      static let nativeArchitecture = "amd64"
    #elseif arch(arm64)
      static let nativeArchitecture = "arm64"
    #endif

    /// The machine that we run on.
    static var current: Host {
      Host(
        architecture: nativeArchitecture, kernel: KernelFeatures.version(of: KernelFeatures.release) ?? (0, 0))
    }
  }

  /// Reads one.
  /// - Throws: a sentence that names the place in the file.
  static func parse(_ bytes: [UInt8], host: Host = .current) throws(JSONError) -> OCISeccomp {
    let file = try JSONValue(parsing: bytes)
    guard file.object != nil else { throw JSONError("the file is not an object") }
    if (file["architectures"]?.array ?? []).count > 0, (file["archMap"]?.array ?? []).count > 0 {
      throw JSONError("'architectures' and 'archMap' can't both be there")
    }
    for flag in file["flags"]?.array ?? [] where flag.string != "SECCOMP_FILTER_FLAG_TSYNC" {
      throw JSONError("'flags' asks for \(flag.string ?? "?"), which can't be had here; take it out")
    }
    guard let action = file["defaultAction"] else { throw JSONError("'defaultAction' is missing") }
    var rules: [OCISeccomp.Rule] = []
    for (index, call) in (try list(file["syscalls"], "syscalls")).enumerated() {
      let place = "syscalls[\(index)]"
      if try applies(call, place, host) { rules.append(try rule(call, place)) }
    }
    return OCISeccomp(
      defaultAction: try Self.action(action, errno: file["defaultErrnoRet"], "defaultAction"), rules: rules)
  }

  private static func list(_ value: JSONValue?, _ place: String) throws(JSONError) -> [JSONValue] {
    guard let value, value != .null else { return [] }
    guard let list = value.array else { throw JSONError("'\(place)' is not a list") }
    return list
  }

  private static func names(_ value: JSONValue?, _ place: String) throws(JSONError) -> [String] {
    var names: [String] = []
    for element in try list(value, place) {
      guard let name = element.string, !name.isEmpty else { throw JSONError("'\(place)' is not a list of names") }
      names.append(name)
    }
    return names
  }

  /// Whether a rule is for this host: all of `includes` hold and none of `excludes`.
  private static func applies(_ call: JSONValue, _ place: String, _ host: Host) throws(JSONError) -> Bool {
    let (includes, excludes) = (call["includes"], call["excludes"])
    let included = try names(includes?["arches"], "\(place).includes.arches")
    let excluded = try names(excludes?["arches"], "\(place).excludes.arches")
    if excluded.contains(host.architecture) || !(included.isEmpty || included.contains(host.architecture)) {
      return false
    }
    if !(try names(includes?["caps"], "\(place).includes.caps")).isEmpty { return false }
    if let least = try kernel(includes?["minKernel"], "\(place).includes.minKernel"), host.kernel < least {
      return false
    }
    if let least = try kernel(excludes?["minKernel"], "\(place).excludes.minKernel"), host.kernel >= least {
      return false
    }
    return true
  }

  private static func kernel(_ value: JSONValue?, _ place: String) throws(JSONError) -> (major: Int, minor: Int)? {
    guard let value, value != .null, value != .string("") else { return nil }
    guard let version = value.string.flatMap({ KernelFeatures.version(of: $0) }) else {
      throw JSONError("'\(place)' is not a version such as \"4.8\"")
    }
    return version
  }

  private static func rule(_ call: JSONValue, _ place: String) throws(JSONError) -> OCISeccomp.Rule {
    var named = try names(call["names"], "\(place).names")
    if let name = call["name"]?.string, !name.isEmpty {
      if !named.isEmpty { throw JSONError("'\(place)' has 'name' and 'names'; use one of them") }
      named = [name]
    }
    guard let action = call["action"] else { throw JSONError("'\(place).action' is missing") }
    var comparisons: [OCISeccomp.Comparison] = []
    for (index, argument) in (try list(call["args"], "\(place).args")).enumerated() {
      comparisons.append(try comparison(argument, "\(place).args[\(index)]"))
    }
    return OCISeccomp.Rule(
      names: named, action: try Self.action(action, errno: call["errnoRet"], "\(place).action"),
      comparisons: comparisons)
  }

  private static func action(
    _ value: JSONValue, errno: JSONValue?, _ place: String
  ) throws(JSONError) -> OCISeccomp.Action {
    switch value.string {
    case "SCMP_ACT_ALLOW": return .allow
    case "SCMP_ACT_LOG": return .log
    case "SCMP_ACT_KILL", "SCMP_ACT_KILL_THREAD": return .killThread
    case "SCMP_ACT_KILL_PROCESS": return .killProcess
    case "SCMP_ACT_TRAP": return .trap
    case "SCMP_ACT_ERRNO":
      guard let errno, errno != .null else { return .errno(1) }
      guard let number = errno.integer, (0...4095).contains(number) else {
        throw JSONError("the errno of '\(place)' is not a number between 0 and 4095")
      }
      return .errno(Int32(number))
    case "SCMP_ACT_TRACE", "SCMP_ACT_NOTIFY":
      throw JSONError("'\(place)' is \(value.string ?? ""): there is nobody here to ask; use SCMP_ACT_ERRNO")
    default: throw JSONError("'\(place)' is not an action such as SCMP_ACT_ALLOW")
    }
  }

  private static func comparison(_ value: JSONValue, _ place: String) throws(JSONError) -> OCISeccomp.Comparison {
    guard let index = value["index"]?.integer, (0...5).contains(index) else {
      throw JSONError("'\(place).index' is not a number between 0 and 5")
    }
    guard let comparison = value["op"]?.string.flatMap({ OCISeccomp.Comparison.Operator(rawValue: $0) }) else {
      throw JSONError("'\(place).op' is not a comparison such as SCMP_CMP_EQ")
    }
    return OCISeccomp.Comparison(
      argument: UInt32(index), comparison, try number(value["value"], "\(place).value"),
      try number(value["valueTwo"], "\(place).valueTwo"))
  }

  private static func number(_ value: JSONValue?, _ place: String) throws(JSONError) -> UInt64 {
    guard let value, value != .null else { return 0 }
    guard let number = value.integer, number >= 0 else {
      throw JSONError("'\(place)' is not a whole number between 0 and \(Int64.max)")
    }
    return UInt64(number)
  }
}
