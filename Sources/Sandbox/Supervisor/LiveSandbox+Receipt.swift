import JSON

/// What an activation tells of itself.
extension LiveSandbox {
  /// The wall as it was put up, or why it wasn't.
  private var landlock: JSONValue {
    for case .landlock(let policy) in plan.inside {
      return [
        "enforced": true, "abi": .integer(Int64(policy.version)), "tcp_closed": .bool(policy.handledNetwork != 0),
        "scoped": .bool(policy.scoped != 0),
      ]
    }
    let isOff = entry.profile.landlock == .off
    return ["enforced": false, "reason": isOff ? "the profile says 'landlock: off'" : "this kernel has no Landlock"]
  }

  /// What is known now that it is over.
  func receipt(cause: ExitCause, startedAt: Int64, seconds: Double) -> Receipt {
    var fields = receiptSoFar
    fields["started_at"] = .integer(startedAt)
    fields["wall_seconds"] = .number((seconds * 1e6).rounded() / 1e6)
    fields["exit"] = cause.json
    fields["usage"] = .object(usage)
    return Receipt(activationID: request.activationID, exit: cause, json: .object(fields))
  }

  /// What is known before the end.
  var receiptSoFar: [String: JSONValue] {
    let limits = plan.limits
    let enforced = Set(supervisor.groups.settings(limits).map(\.file))
    func limit(_ value: JSONValue, _ file: String) -> JSONValue {
      ["value": value, "enforced_by": enforced.contains(file) ? .string("cgroup \(file)") : .null]
    }
    var fields = observed
    fields["landlock"] = landlock
    fields["activation_id"] = .string(request.activationID)
    fields["profile"] = .string(entry.profile.name)
    fields["profile_digest"] = .string(entry.digest)
    if let tightening = request.tightening?.json { fields["tightening"] = tightening }
    fields["host_namespaces"] = .object(supervisor.hostNamespaces.mapValues { .integer(Int64($0)) })
    fields["limits"] = [
      "memory_bytes": limit(.integer(Int64(limits.memory)), "memory.max"),
      "cpus": limit(.number(limits.cpus), "cpu.max"),
      "pids": limit(.integer(Int64(limits.pids)), "pids.max"),
      "timeout_seconds": ["value": .number(limits.timeout.seconds), "enforced_by": "supervisor"],
    ]
    if !limitsReadBack.isEmpty { fields["limits_read_back"] = .object(limitsReadBack) }
    fields["not_enforced"] = .array(notEnforced.map { .string($0) })
    fields["network"] = .object(
      denials.json.merging([
        "gateway": .string(gatewayAddress),
        "ports": .array(request.listeners.map { ["name": .string($0.name), "port": .integer(Int64($0.port))] }),
      ]) { _, own in own })
    return fields
  }
}
