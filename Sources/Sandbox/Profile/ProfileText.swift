import JSON
import Linux
import YAML

extension Profile {
  /// The whole profile as one file that extends nothing. Read again, it gives the same profile.
  public var yaml: String {
    var lines = parents.isEmpty ? [] : ["# Resolved from \(([name] + parents).joined(separator: ", "))."]
    lines.append("description: \(quoted(description))")
    switch root {
    case .scratch: break
    case .directory(let path): lines.append("root: { directory: \(quoted(path)) }")
    case .image(let path): lines.append("root: { image: \(quoted(path)) }")
    }
    lines += list("read_only", readOnly.map { ($0.optional ? "?" : "") + $0.path })
    if !scratch.isEmpty {
      lines.append("scratch:")
      lines += scratch.map {
        "  - { path: \(quoted($0.path)), size: \(YAMLUnits.text(byteSize: $0.size)), inodes: \($0.inodes) }"
      }
    }
    if let workspace {
      lines.append("workspace: { path: \(quoted(workspace.path)), size: \(YAMLUnits.text(byteSize: workspace.size)) }")
    }
    lines += [
      "uid: \(uid)", "gid: \(gid)", "hostname: \(quoted(hostname))", "network: \(network.rawValue)",
      "landlock: \(landlock.rawValue)", "cgroup: \(controlGroup.rawValue)",
    ]
    lines += limits.yaml
    if !environment.isEmpty {
      lines.append("environment:")
      lines += environment.sorted { $0.key < $1.key }.map { "  \(quoted($0.key)): \(quoted($0.value))" }
    }
    lines += list("masked", masked) + list("read_only_proc", readOnlyProc) + syscalls.yaml
    return lines.joined(separator: "\n") + "\n"
  }

  private func list(_ key: String, _ values: [String]) -> [String] {
    values.isEmpty ? [] : ["\(key):"] + values.map { "  - \(quoted($0))" }
  }

  /// What the profile says, rule by rule, with the place of each.
  public func json(_ origins: [ProfileRule: ProfileOrigin]) -> JSONValue {
    .array(
      statements.map { statement in
        var members: [String: JSONValue] = [
          "key": .string(statement.rule.key), "value": .string(statement.value), "meaning": .string(statement.meaning),
        ]
        if !statement.rule.item.isEmpty { members["item"] = .string(statement.rule.item) }
        if let origin = origins[statement.rule] {
          members["file"] = .string(origin.file)
          members["line"] = .integer(Int64(origin.position.line))
        }
        return .object(members)
      })
  }
}

extension Profile.Limits {
  fileprivate var yaml: [String] {
    var lines = ["limits:", "  memory: \(YAMLUnits.text(byteSize: memory))"]
    if let memoryHigh { lines.append("  memory_high: \(YAMLUnits.text(byteSize: memoryHigh))") }
    lines += [
      "  swap: \(YAMLUnits.text(byteSize: swap))", "  cpus: \(Self.text(cpus))", "  cpu_weight: \(cpuWeight)",
      "  pids: \(pids)", "  open_files: \(openFiles)", "  file_size: \(YAMLUnits.text(byteSize: fileSize))",
      "  timeout: \(YAMLUnits.text(timeout))",
    ]
    if let io { lines.append("  io: \(io.text)") }
    return lines
  }
}

extension SeccompPolicy {
  fileprivate var yaml: [String] {
    var lines = ["syscalls:"]
    if let oci {
      lines.append("  oci: \(quoted(oci.file))")
      if !oci.refused.isEmpty { lines.append("  # And denied: \(oci.refused.sorted().joined(separator: ", "))") }
    } else {
      lines += ["  allow:"] + Self.wrapped(allowed.sorted(), width: 110)
    }
    if !conditional.isEmpty {
      lines.append("  when:")
      lines += conditional.sorted { $0.key < $1.key }.map { "    - { name: \($0.key), \($0.value.text) }" }
    }
    if !errnos.isEmpty {
      lines.append("  errno:")
      lines += errnos.sorted { $0.key < $1.key }.map { "    \($0.key): \(errnoShortName($0.value))" }
    }
    return lines + ["  denied: \(errnoShortName(denied))", "  unknown: \(errnoShortName(unknown))"]
  }

  /// `    - [a, b, c]` on as many lines as it takes.
  private static func wrapped(_ names: [String], width: Int) -> [String] {
    var lines: [String] = []
    var line = "    - ["
    for (index, name) in names.enumerated() {
      let word = name + (index == names.count - 1 ? "]" : ", ")
      if line.count + word.count > width {
        lines.append(line.last == " " ? String(line.dropLast()) : line)
        line = "       "
      }
      line += word
    }
    if names.isEmpty { line += "]" }
    return lines + [line]
  }
}

/// A scalar in YAML: plain where nothing in it could mean something else.
func quoted(_ text: String) -> String {
  let isPlain =
    !text.isEmpty && text.utf8.first.map { $0 == 47 || $0 == 95 || isAlphanumeric($0) } == true
    && text.utf8.allSatisfy { isAlphanumeric($0) || "/_.-+:=@%".utf8.contains($0) } && text.last != ":"
    && !["null", "Null", "NULL"].contains(text)
  if isPlain { return text }
  var escaped = "\""
  for scalar in text.unicodeScalars {
    switch scalar {
    case "\"": escaped += "\\\""
    case "\\": escaped += "\\\\"
    case "\n": escaped += "\\n"
    case "\t": escaped += "\\t"
    case _ where scalar.value < 32 || scalar.value == 127: escaped += "\\x" + hexadecimal(UInt8(scalar.value))
    default: escaped.unicodeScalars.append(scalar)
    }
  }
  return escaped + "\""
}

private func isAlphanumeric(_ byte: UInt8) -> Bool {
  (48...57).contains(byte) || (65...90).contains(byte) || (97...122).contains(byte)
}
