import Agents
import Sandbox

/// What an agent remembers, as far as it could be read.
struct Recalled: Sendable, Hashable {
  /// Whether notes were read.
  enum State: Sendable, Hashable {
    /// They were, or there are none yet.
    case read
    /// They are there and could not be read this time, or not all of them.
    case unread
    /// The agent's profile has no place where notes could stay.
    case noPlace
  }
  /// Those that fit.
  var notes: [Note] = []
  var state = State.read
}

extension Activation {
  /// The agent's notes that fit. Without memory none; where they can't be read none either, and log and prompt say so: an
  /// answer without memory is better than no answer.
  ///
  /// The workspace is the agent's, and its file system is read nowhere but inside a sandbox of the agent's profile: one that
  /// has no network and ends before the agent's own begins. What it writes is data of the agent's.
  func recall(_ definition: AgentDefinition, about texts: [String]) async throws(ActivationFailure) -> Recalled {
    let memory = definition.memory
    guard memory.enabled else { return Recalled() }
    if memory.strategy == .embeddingSearch {
      services.logger.info("embedding_search isn't there, notes are found by keyword", metadata: metadata)
    }
    let request = Recall.request(definition, activationID: task.activationID, within: services.policy.recallTimeout)
    let wait = SandboxWait(
      end: SandboxEnd(term: sandboxEnd.term), time: services.time, logger: services.logger,
      grace: services.policy.receiptGrace)
    let launcher = services.launcher
    // The supervisor keeps the time; a moment later we do.
    let limit = services.policy.recallTimeout + services.policy.receiptGrace
    let (outcome, isCancelled) = await toItsEnd { cancelled in
      let outcome = await wait.run(until: [SandboxWait.cancelled(by: cancelled), wait.overdue(after: limit)]) { end in
        try await launcher.run(
          request, files: [], input: [], outputLimit: Memory.archiveLimit, end: end, serve: { _ in })
      }
      return (outcome, cancelled.isOpen)
    }
    if isCancelled { throw ActivationFailure.cancelled }
    let result: SandboxResult
    switch outcome.result {
    case .success(let ended): result = ended
    case .failure(let error):
      warn(outcome.reason == .overdue ? "the supervisor did not end their reader in time" : "\(error)")
      return Recalled(state: .unread)
    }
    let end = Recall.End(result.receipt.exit)
    if end != .whole { warn(Recall.words(end, result, profile: definition.profile)) }
    switch end {
    case .noPlace: return Recalled(state: .noPlace)
    case .failed: return Recalled(state: .unread)
    case .whole, .partly:
      let notes = Retrieval.choose(NoteArchive.read(result.output), by: memory, about: texts)
      return Recalled(notes: notes, state: end == .whole ? .read : .unread)
    }
  }

  private func warn(_ reason: String) {
    services.metrics.increment("botburrow_notes_unread_total", [("agent", task.agentID)])
    services.logger.warning("notes can't be read", metadata: metadata.merging(["error": "\(reason)"]) { $1 })
  }
}

/// The sandbox that reads an agent's notes.
enum Recall {
  /// How the reader ended.
  enum End: Sendable, Hashable {
    case whole
    /// `Memory.place` isn't there.
    case noPlace
    /// tar left something out.
    case partly
    case failed

    init(_ exit: ExitCause) {
      switch exit {
      case .exited(code: 0): self = .whole
      case .exited(code: 40): self = .noPlace
      // tar(1): 1, files changed while it read; 2, a fatal error, at the end of all that it could do.
      case .exited(code: 1), .exited(code: 2): self = .partly
      default: self = .failed
      }
    }
  }

  /// GNU find, sort, head, cut and tar, which every Debian has: the newest notes as one archive. A root that lacks one of
  /// them says so: without that its agent would seem to have no notes.
  static let script = """
    for tool in mkdir find sort head cut tar; do
      command -v $tool >/dev/null || { echo "there is no '$tool' in its root" >&2; exit 41; }
    done
    cd \(Memory.place) || exit 40
    mkdir -p \(Memory.directory) && cd \(Memory.directory) || exit 41
    find . -type f -name '*.md' -size -\(Memory.largestNote)c -printf '%T@ %p\\0' | sort -zrn | \
    head -zn \(Memory.mostNotes) | cut -zd ' ' -f 2- | tar --null -T - --format=ustar -cf -
    """

  /// What is wrong, for the operator.
  static func words(_ end: End, _ result: SandboxResult, profile: String) -> String {
    if end == .noPlace { return "profile '\(profile)' has no workspace at \(Memory.place), where notes would stay" }
    let said = String(decoding: result.errorOutput, as: UTF8.self).split(whereSeparator: \.isNewline).last
    return "the reader in profile '\(profile)' ended: \(result.receipt.exit)"
      + (said.map { ": \(Prompt.line(String($0)))" } ?? "")
  }

  /// Asks for it: the agent's profile and workspace, and nothing else.
  static func request(_ definition: AgentDefinition, activationID: String, within limit: Duration) -> SandboxRequest {
    // A cgroup has the id as its name: it must not be the agent's own.
    var request = SandboxRequest(
      activationID: activationID.prefix(58) + "-notes", profile: definition.profile,
      arguments: ["/bin/sh", "-c", script], workingDirectory: "/", workspace: definition.id)
    request.limits.timeoutSeconds = limit / .seconds(1)
    request.limits.workspaceBytes = definition.memory.maxSizeMiB << 20
    var tightening = Tightening()
    tightening.withoutNetwork = true
    request.tightening = tightening
    return request
  }
}
