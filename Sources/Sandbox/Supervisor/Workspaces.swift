import Glibc
import Linux
import Synchronization

/// The store of this supervisor. Its directory is made with the first workspace: who has no such profile has none.
final class Workspaces: Sendable {
  private let directory: String
  private let store = Mutex<WorkspaceStore?>(nil)

  init(directory: String) { self.directory = directory }

  /// Removes what a killed supervisor left half made.
  func sweep() throws(WorkspaceError) {
    if access(directory, F_OK) == 0 { try opened().sweep() }
  }

  /// See `WorkspaceStore.open`.
  func open(_ agent: String, size: Int, uid: Int, gid: Int) throws(WorkspaceError) -> Workspace {
    try opened().open(agent, size: size, uid: uid, gid: gid)
  }

  /// See `WorkspaceStore.close`.
  func close(_ workspace: Workspace) throws(WorkspaceError) { try opened().close(workspace) }

  private func opened() throws(WorkspaceError) -> WorkspaceStore {
    try store.withLock { (store) throws(WorkspaceError) in
      if let store { return store }
      let made = try WorkspaceStore(directory: directory)
      store = made
      return made
    }
  }
}
