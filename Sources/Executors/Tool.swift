import Agents
import Configuration

/// A program that an administrator installs for agents of one kind.
public struct Tool: Sendable, Hashable {
  /// Its name, as it is looked for in the profile's PATH.
  public var program: String
  /// Asks it for its version; the answer is on standard output.
  public var versionArguments = ["--version"]
  /// Versions that `make tools` ran through the whole path; empty where no binary could be had, and only what is written
  /// for the tool was tested.
  public var tested: [String]
  /// How to get it.
  public var advice: String

  /// A tool of its parts.
  public init(program: String, tested: [String], advice: String) {
    self.program = program
    self.tested = tested
    self.advice = advice
  }

  /// The version in what the program printed: its first word that begins with a digit, without a `v` in front.
  public static func version(in output: String) -> String? {
    output.split(whereSeparator: \.isWhitespace).lazy
      .map { $0.first == "v" ? $0.dropFirst() : $0 }
      .first { $0.first?.isNumber == true && $0.contains(".") }
      .map(String.init)
  }
}

extension ExecutorContext {
  /// The agent's model gateway and the dialect in which the tool speaks to it: the first of `wanted` that the provider speaks.
  func model(_ wanted: [ModelDialect]) throws(ExecutorError) -> (url: String, dialect: ModelDialect) {
    let definition = agent.definition
    guard let model else { throw .noModel(agentID: definition.id, kind: definition.kind) }
    guard let dialect = wanted.first(where: model.dialects.contains) else {
      throw .wrongDialect(
        agentID: definition.id, kind: definition.kind, speaks: wanted.map(\.rawValue),
        provider: model.dialects.map(\.rawValue).sorted())
    }
    return (model.url, dialect)
  }

  /// A file under `/run/agent` by name.
  func file(_ path: String, _ text: String) -> ExecutorPlan.File { .init(path: path, bytes: Array(text.utf8)) }
}

extension ExecutorPlan {
  /// A tool that prints every step, as a command of the shell that lets through those lines alone that tell how it ended:
  /// what is kept of an agent's output has a limit, and its end is what counts.
  ///
  /// The shell's last line says the tool's exit code: `{"code":0,"type":"exit"}`.
  /// - Parameters:
  ///   - before: commands that come first.
  ///   - keeping: lines with one of these texts are kept.
  static func filtered(_ command: [String], before: String = "", keeping lines: [String]) -> [String] {
    let patterns = (lines + [#""type":"exit""#]).map { "-e '\($0)'" }.joined(separator: " ")
    return [
      "/bin/sh", "-c",
      before + #"{ "$@"; printf '\n{"code":%d,"type":"exit"}\n' $?; } | grep -F \#(patterns)"#, "sh",
    ] + command
  }
}

extension ExecutorOutput {
  /// The end of a command made by `ExecutorPlan.filtered`: the exit code that its last line tells.
  var filtered: ExecutorOutput {
    guard let code = events.last(where: { $0["type"]?.string == "exit" })?["code"]?.integer else { return self }
    var output = self
    output.exit = .code(Int(code))
    return output
  }
}
