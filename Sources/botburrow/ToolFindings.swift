import Agents
import Doctor
import Executors
import Glibc
import Linux
import Sandbox

/// What doctor says of the tools that agents are run by: which are there, and whether theirs is a version that was tested.
enum ToolFindings {
  /// Each tool is looked for in the PATH of its kind's profile, and asked for its version in a sandbox of that profile: what
  /// belongs to agents isn't run outside, and a tool that doesn't start inside is of no use.
  static func read(profiles directory: String?, from source: ProfileSource) -> [Finding] {
    Executors.all.compactMap { executor in
      let kind = type(of: executor).kind
      guard let tool = type(of: executor).tool else { return nil }
      return finding(tool, kind, directory, source)
    }
  }

  private static func finding(
    _ tool: Tool, _ kind: AgentDefinition.Kind, _ directory: String?, _ source: ProfileSource
  ) -> Finding {
    let profile: Profile
    do throws(ProfileError) { profile = try ProfileFile.load(kind.profile, from: source).profile } catch {
      return Finding(subject(kind), .limited, "profile \(kind.profile): \(error)", "mend the profile")
    }
    let places = (profile.environment["PATH"] ?? "/usr/bin:/bin").split(separator: ":").map { "\($0)/\(tool.program)" }
    guard let path = places.first(where: { access($0, X_OK) == 0 }) else {
      return Finding(subject(kind), .limited, "no \(tool.program) in the profile's PATH", tool.advice)
    }
    guard geteuid() == 0 else {
      return Finding(subject(kind), .ok, "\(path), not asked for its version: that takes root")
    }
    do {
      let answer = try ask(tool, kind, directory)
      guard let version = Tool.version(in: answer) else {
        return Finding(subject(kind), .limited, "\(path) doesn't say its version in its sandbox", tool.advice)
      }
      return judge(tool, kind, version, path)
    } catch {
      return Finding(subject(kind), .limited, "\(path) was not asked: \(error)", "run doctor again as root")
    }
  }

  /// Whether a version is one that was tested.
  static func judge(_ tool: Tool, _ kind: AgentDefinition.Kind, _ version: String, _ path: String) -> Finding {
    if tool.tested.contains(version) { return Finding(subject(kind), .ok, "\(version), tested: \(path)") }
    let known = tool.tested.isEmpty ? "no version was" : "\(tool.tested.joined(separator: ", ")) was"
    return Finding(subject(kind), .limited, "\(version) at \(path) was not tested, \(known)", tool.advice)
  }

  private static func subject(_ kind: AgentDefinition.Kind) -> String { "tool \(kind.rawValue)" }

  /// Its answer, from a sandbox of its profile; whatever it is when it takes longer than 20 s.
  private static func ask(_ tool: Tool, _ kind: AgentDefinition.Kind, _ directory: String?) throws -> String {
    let connection = try SupervisorCommand.startPrivate(profiles: directory, cgroup: .bestEffort)
    let (reader, writer) = try makePipe()
    let null = try Descriptor.open("/dev/null", O_RDWR)
    var request = SandboxRequest(
      activationID: "doctor-\(kind.rawValue)-\(getpid())", profile: kind.profile,
      arguments: [tool.program] + tool.versionArguments)
    request.limits.timeoutSeconds = 20
    try connection.spawn(request, streams: [null, writer, null], files: [])
    writer.close()
    while true { if case .ended = try connection.next() { break } }
    // All that wrote is gone, and a pipe holds no more than this.
    return String(decoding: try reader.readAll(limit: 64 << 10), as: UTF8.self)
  }
}
