import JSON
import Linux
import Sandbox
import Synchronization

/// What came of a probe under one profile.
package struct Finding: Sendable {
  package var probe: Probe
  package var profile: String
  /// What it answered inside; nil where there is nothing here that could hold it, for want of a cgroup controller.
  package var inside: String?
  /// What its control answered.
  package var outside: String?
  /// Why the probe, or its control, can't be tried on this machine.
  package var unavailable: String?

  /// Whether the wall stood.
  package var isHeld: Bool { inside.map { probe.inside.contains($0) } ?? false }
  /// Whether the control shows that the probe could have come through.
  package var isBacked: Bool { outside.map { probe.control?.outside.contains($0) ?? false } ?? false }
  /// What is wrong, in words; nil where all is as it should be, or can't be tried.
  package var trouble: String? {
    if let inside, !isHeld {
      return
        "\(profile): \(title): inside it answered '\(inside)' instead of '\(probe.inside.joined(separator: "' or '"))'"
    }
    if unavailable == nil, let control = probe.control, let outside, !isBacked {
      return """
        \(profile): \(title): outside it answered '\(outside)' instead of '\(control.outside.joined(separator: "' or '"))': \
        the probe proves nothing
        """
    }
    return nil
  }
  /// All of it, on one line.
  package var line: String {
    let control = outside.map { ", outside '\($0)'" } ?? ""
    let state = trouble == nil ? (unavailable == nil ? "held" : "held, \(unavailable ?? "")") : "WRONG"
    return
      "\(profile): \(title): inside '\(inside ?? "not tried")'\(control): \(inside == nil ? unavailable ?? "" : state)"
  }
  package var title: String { probe.title }
}

/// Runs probes; a control runs once, however many profiles it backs.
package final class Suite: Sendable {
  private let ground: Ground
  private let controls = Mutex<[Key: Task<String, any Error>]>([:])
  /// How many probes run at once.
  private let width: Int

  private struct Key: Hashable {
    var act: [String]
    var control: Probe.Control
    var input: [UInt8]
  }

  /// Makes a ground, lets `body` run upon it, and ends it whatever came; gives what it gave, and what was left behind.
  /// `changed`: profiles of the suite's own beside the shipped ones, by name.
  package static func upon<Value>(
    _ places: Ground.Places, changed: [String: String] = [:], width: Int = 8,
    _ body: (Suite) async throws -> Value
  ) async throws -> (Value, left: [String]) {
    let ground = try await Ground(places, changed: changed)
    do {
      let value = try await body(Suite(ground, width: width))
      return (value, try await ground.end())
    } catch {
      _ = try await ground.end()
      throw error
    }
  }

  /// The shipped profiles' names, `default` first.
  package var shipped: [String] { ground.profiles.shipped }

  private init(_ ground: Ground, width: Int) {
    self.ground = ground
    self.width = width
  }

  /// Tries everything under one profile. `as`: whose answers are expected, if not its own; `only`: which probes.
  package func run(
    profile name: String, as expected: String? = nil, only: (Probe) -> Bool = { _ in true }
  ) async throws -> [Finding] {
    let profiles = ground.profiles.profiles
    guard profiles[name] != nil, let profile = profiles[expected ?? name] else {
      throw GroundError("there is no profile '\(name)'; there are: \(profiles.keys.sorted().joined(separator: ", "))")
    }
    let table = Probe.table(profile).filter(only)
    var findings = try await together(table.filter { !$0.isAlone }, name)
    for probe in table where probe.isAlone { findings.append(try await find(probe, name)) }
    return findings
  }

  private func together(_ probes: [Probe], _ profile: String) async throws -> [Finding] {
    try await withThrowingTaskGroup(of: (Int, Finding).self) { group in
      var findings: [(Int, Finding)] = []
      for (index, probe) in probes.enumerated() {
        if index >= width, let finding = try await group.next() { findings.append(finding) }
        group.addTask { (index, try await self.find(probe, profile)) }
      }
      for try await finding in group { findings.append(finding) }
      return findings.sorted { $0.0 < $1.0 }.map(\.1)
    }
  }

  private func find(_ probe: Probe, _ profile: String) async throws -> Finding {
    var finding = Finding(probe: ground.expecting(probe), profile: profile)
    if let control = probe.control {
      let outside = try await answer(of: control, for: probe)
      finding.outside = outside
      finding.unavailable = control.unavailable[outside].map { "\(outside): \($0)" }
      // Where the machine lacks what is swept, the filter can't be asked either.
      if case .sweep = probe.witness, finding.unavailable != nil { return finding }
    }
    let name = if case .sweep = probe.witness { "hostile-\(profile)" } else { profile }
    let inside = try await ground.inside(probe, profile: name)
    if let need = probe.needs, let reason = inside.notEnforced.first(where: { $0.hasPrefix(need + ":") }) {
      finding.unavailable = reason
      return finding
    }
    finding.inside = inside.answer
    return finding
  }

  private func answer(of control: Probe.Control, for probe: Probe) async throws -> String {
    let key = Key(act: control.act ?? probe.act, control: control, input: probe.input)
    let task = controls.withLock { controls in
      if let task = controls[key] { return task }
      let ground = ground
      let task = Task { try await Thread.run { try ground.outside(probe, control) } }
      controls[key] = task
      return task
    }
    return try await task.value
  }
}
