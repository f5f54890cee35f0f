import Agents
import Sandbox

extension Activation {
  /// The agent's notes that fit. Without memory none; where they can't be read none either, and the log says why: an
  /// answer without memory is better than no answer.
  ///
  /// The workspace is the agent's, and its file system is read nowhere but inside a sandbox of the agent's profile: one that
  /// has no network and ends before the agent's own begins. What it writes is data of the agent's.
  func recall(_ definition: AgentDefinition, about texts: [String]) async throws(ActivationFailure) -> [Note] {
    let memory = definition.memory
    guard memory.enabled else { return [] }
    if memory.strategy == .embeddingSearch {
      services.logger.info("embedding_search isn't there, notes are found by keyword", metadata: metadata)
    }
    do {
      let result = try await services.launcher.run(
        Recall.request(definition, activationID: task.activationID), files: [], input: [],
        outputLimit: Memory.archiveLimit, serve: { _ in })
      guard result.receipt.exit == .exited(code: 0) else {
        warn("the reader ended: \(result.receipt.exit)")
        return []
      }
      return Retrieval.choose(NoteArchive.read(result.output), by: memory, about: texts)
    } catch is CancellationError {
      throw ActivationFailure("the activation was cancelled", status: .cancelled)
    } catch {
      warn("\(error)")
      return []
    }
  }

  private func warn(_ reason: String) {
    services.metrics.increment("botburrow_notes_unread_total", [("agent", task.agentID)])
    services.logger.warning("notes can't be read", metadata: metadata.merging(["error": "\(reason)"]) { $1 })
  }
}

/// The sandbox that reads an agent's notes.
enum Recall {
  /// GNU find, sort, head and tar, which every Debian has: the newest notes as one archive.
  static let script = """
    mkdir -p \(Memory.directory) && cd \(Memory.directory) || exit 0
    find . -type f -name '*.md' -size -\(Memory.largestNote)c -printf '%T@ %p\\0' | sort -zrn | \
    head -zn \(Memory.mostNotes) | cut -zd ' ' -f 2- | tar --null -T - --format=ustar -cf - 2>/dev/null
    exit 0
    """

  /// Asks for it: the agent's profile and workspace, and nothing else.
  static func request(_ definition: AgentDefinition, activationID: String) -> SandboxRequest {
    // A cgroup has the id as its name: it must not be the agent's own.
    var request = SandboxRequest(
      activationID: activationID.prefix(58) + "-notes", profile: definition.profile,
      arguments: ["/bin/sh", "-c", script], workingDirectory: "/", workspace: definition.id)
    request.limits.timeoutSeconds = 20
    request.limits.workspaceBytes = definition.memory.maxSizeMiB << 20
    var tightening = Tightening()
    tightening.withoutNetwork = true
    request.tightening = tightening
    return request
  }
}
