import Linux

/// What was tried and what came of it, line by line in the Test Anything Protocol (testanything.org), which the host judges.
struct Report {
  private var count = 0

  /// A check holds where its body returns, with a word on what was seen; it fails with what the body throws.
  mutating func check(_ name: String, _ body: () throws -> String) {
    count += 1
    do {
      say("ok \(count) - \(name) # \(try body())")
    } catch {
      say("not ok \(count) - \(name) # \("\(error)".replacing("\n", with: " | "))")
    }
  }

  /// A check that this machine can't make, and why.
  mutating func skip(_ name: String, _ reason: String) {
    count += 1
    say("ok \(count) - \(name) # SKIP \(reason)")
  }

  /// The last line. Where it is missing, the machine or the checks broke off.
  func finish() { say("1..\(count)") }

  private func say(_ line: String) { standardOutput(line + "\n") }
}

/// Something that does not hold, in words.
struct Unmet: Error, CustomStringConvertible {
  let description: String
  init(_ description: String) { self.description = description }
}

/// Fails the check unless it is so.
func expect(_ holds: Bool, _ otherwise: @autoclosure () throws -> String) throws {
  if !holds { throw Unmet(try otherwise()) }
}

/// At once, without a buffer: the machine may be switched off after the next line.
func standardOutput(_ text: String) { try? Descriptor.borrowed(1).write(text.utf8) }
