// `${NAME}` and `${NAME:-default}` in scalars, as a shell reads them.

/// Replaces variables in every scalar below `node`; reports those that are not set, or leaves them. Keys are left alone.
func substitute(
  _ environment: [String: String], in node: YAMLNode, _ leavesUnset: Bool, problems: YAMLProblems
) -> YAMLNode {
  var result = node
  switch node.value {
  case .scalar(let text, let plain):
    guard text.contains("$") else { return node }
    let before = problems.errors.count
    let replaced = substitute(environment, in: text, leavesUnset: leavesUnset) { offset, sentence in
      // Quotes, escapes and folded lines move columns; only in a plain scalar is the place within it known.
      let column = node.position.column + (plain && !text.contains("\n") ? offset : 0)
      problems.report(sentence, at: YAMLPosition(line: node.position.line, column: column))
    }
    if problems.errors.count > before { problems.spoiled.insert(node.position) }
    // A variable that is set to nothing, or to "null", is text, not the absence of a value.
    result.value = .scalar(text: replaced, plain: plain && replaced == text)
  case .sequence(let elements):
    result.value = .sequence(elements.map { substitute(environment, in: $0, leavesUnset, problems: problems) })
  case .mapping(let entries):
    result.value = .mapping(
      entries.map { entry in
        var entry = entry
        entry.value = substitute(environment, in: entry.value, leavesUnset, problems: problems)
        return entry
      })
  }
  return result
}

/// Replaces `${NAME}` (an error where it is unset, unless that is left as it is), `${NAME:-default}` (where it is unset or empty) and `$$` (one `$`).
/// A `$` before anything else stays. What is put in is not looked through again.
func substitute(
  _ environment: [String: String], in text: String, leavesUnset: Bool = false,
  report: (_ offset: Int, _ sentence: String) -> Void
) -> String {
  let scalars = Array(text.unicodeScalars)
  var result = String.UnicodeScalarView()
  var index = 0
  while index < scalars.count {
    guard scalars[index] == "$", index + 1 < scalars.count, ["$", "{"].contains(scalars[index + 1]) else {
      result.append(scalars[index])
      index += 1
      continue
    }
    if scalars[index + 1] == "$" {
      result.append("$")
      index += 2
      continue
    }
    guard let end = scalars[index...].firstIndex(of: "}") else {
      report(index, "'${' is never closed; write ${NAME}, or $${ for the characters themselves")
      return text
    }
    let (name, fallback) = variable(scalars[(index + 2)..<end])
    if !isName(name) {
      report(index, "'\(name)' is not the name of an environment variable; write ${NAME} or ${NAME:-default}")
    } else if let value = environment[name], !(value.isEmpty && fallback != nil) {
      result.append(contentsOf: value.unicodeScalars)
    } else if let fallback {
      result.append(contentsOf: fallback.unicodeScalars)
    } else if leavesUnset {
      result.append(contentsOf: scalars[index...end])
    } else {
      report(index, "environment variable \(name) is not set; export it or write ${\(name):-default}")
    }
    index = end + 1
  }
  return String(result)
}

private func variable(_ inside: ArraySlice<Unicode.Scalar>) -> (name: String, fallback: String?) {
  func string(_ scalars: ArraySlice<Unicode.Scalar>) -> String {
    String(String.UnicodeScalarView(scalars))
  }
  guard let colon = inside.firstIndex(of: ":"), colon + 1 < inside.endIndex, inside[colon + 1] == "-" else {
    return (string(inside), nil)
  }
  return (string(inside[..<colon]), string(inside[(colon + 2)...]))
}

private func isName(_ name: String) -> Bool {
  guard let first = name.utf8.first, !(UInt8(ascii: "0")...UInt8(ascii: "9")).contains(first) else { return false }
  return name.unicodeScalars.allSatisfy {
    $0 == "_" || ($0.isASCII && $0.properties.isAlphabetic) || ("0"..."9").contains($0)
  }
}
