import Agents
import Sandbox

/// What a definition's `sandbox` means to the supervisor.
extension AgentDefinition.SandboxChoice {
  /// The usual limits.
  public var limits: SandboxRequest.Limits {
    SandboxRequest.Limits(
      memoryBytes: memoryBytes, cpus: cpus, pids: pids, timeoutSeconds: timeout.map { $0 / .seconds(1) })
  }

  /// What else is given up; nil for nothing.
  public var tightening: Tightening? {
    var tightening = Tightening()
    tightening.memoryHighBytes = memoryHighBytes
    tightening.cpuWeight = cpuWeight
    tightening.readBytesPerSecond = readBytesPerSecond
    tightening.writeBytesPerSecond = writeBytesPerSecond
    tightening.readsPerSecond = readsPerSecond
    tightening.writesPerSecond = writesPerSecond
    tightening.openFiles = openFiles
    tightening.fileSizeBytes = fileSizeBytes
    tightening.withoutNetwork = withoutNetwork
    tightening.needsLandlock = needsLandlock
    tightening.masked = masked
    tightening.denied = denied
    return tightening == Tightening() ? nil : tightening
  }

  /// Where it asks for more than its profile gives, or for what no profile can do: one sentence each.
  /// - Parameters:
  ///   - source: where the profiles are.
  ///   - standard: the profile where it names none.
  public func problems(in source: ProfileSource, standard: String = AgentDefinition.Kind.custom.profile) -> [String] {
    do throws(ProfileError) {
      let profile = try ProfileFile.load(profile ?? standard, from: source).profile
      return profile.excesses(limits, tightening)
    } catch .absent {
      // That there is no such profile is said already.
      return []
    } catch { return [error.description] }
  }
}
