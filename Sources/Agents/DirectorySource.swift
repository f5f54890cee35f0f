import Configuration
import Glibc

/// Definitions in a local directory.
///
/// Paths are walked part by part without following symbolic links, so that a link in a checked-out repository can't
/// make the runner read files of the host into an agent's context.
public struct DirectorySource: DefinitionSource, DefinitionFiles {
  package let place: String
  private let now: @Sendable () -> Int

  /// - Parameters:
  ///   - path: the directory that holds `agents/` and `skills/`; it may itself be a link.
  ///   - now: seconds since 1970, as the file system counts them.
  public init(_ path: String, now: @escaping @Sendable () -> Int = { time(nil) }) {
    place = path
    self.now = now
  }

  /// See `DefinitionSource`.
  public func list() async throws -> [String] { try await listAgents() }
  /// See `DefinitionSource`.
  public func walk(_ visit: ([String]) async throws -> Void) async throws { try await walkAgents(visit) }
  /// See `DefinitionSource`.
  public func load(_ agentID: String) async throws -> LoadedAgent { try await loadAgent(agentID) }
  /// See `DefinitionSource`. A file is the same while its inode, size and times are.
  public func load(_ agentID: String, unless known: [DefinitionFile]) async throws -> LoadedAgent? {
    try await loadAgent(agentID, unless: known)
  }

  package func name(_ path: String) -> String { place.hasSuffix("/") ? place + path : "\(place)/\(path)" }

  package func eachAgentNames(_ visit: ([String]) async throws -> Void) async throws {
    let agents = try open("agents", O_RDONLY | O_DIRECTORY)
    guard let agents else {
      throw DefinitionError.unreadable(
        path: name("agents"), reason: "No such file or directory; definitions belong in agents/<id>/config.yaml")
    }
    guard let directory = fdopendir(agents) else {
      let code = errno
      close(agents)
      throw unreadable("agents", code)
    }
    // Closes the descriptor too.
    defer { closedir(directory) }
    var names: [String] = []
    errno = 0
    while let entry = readdir(directory) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: Int(NAME_MAX) + 1) { String(cString: $0) }
      }
      var status = stat()
      // A directory without a definition, such as one of notes, is not an agent.
      if AgentDefinition.isID(name), fstatat(agents, "\(name)/config.yaml", &status, AT_SYMLINK_NOFOLLOW) == 0 {
        names.append(name)
      }
      if names.count == 1000 {
        try await visit(names)
        names = []
      }
      errno = 0
    }
    if errno != 0 { throw unreadable("agents", errno) }
    try await visit(names)
  }

  package func read(_ path: String, unless version: DefinitionFile.Version?) throws -> FileReading {
    // O_NONBLOCK: opening a pipe that somebody put there must not hang.
    guard let descriptor = try open(path, O_RDONLY | O_NONBLOCK) else { return .absent }
    defer { close(descriptor) }
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { throw unreadable(path, errno) }
    guard status.st_mode & S_IFMT == S_IFREG else {
      throw DefinitionError.unreadable(path: name(path), reason: "it is not a regular file")
    }
    // Before its bytes are: a change meanwhile is seen the next time.
    let found = self.version(status)
    if found != .unknown, found == version { return .unchanged }
    do {
      let bytes = try readAll(descriptor, limit: DefinitionError.fileLimit)
      guard bytes.count <= DefinitionError.fileLimit else {
        throw DefinitionError.tooLarge(file: name(path), limit: DefinitionError.fileLimit)
      }
      return .read(bytes, found)
    } catch let failure as FileFailure {
      throw unreadable(path, failure.code)
    }
  }

  /// Times are as coarse as the kernel's ticks, so two writes of the last moment may look like one: such a file is read again.
  private func version(_ status: stat) -> DefinitionFile.Version {
    guard status.st_ctim.tv_sec < now() - 1 else { return .unknown }
    let times = [status.st_mtim, status.st_ctim].map { "\($0.tv_sec).\($0.tv_nsec)" }.joined(separator: " ")
    return .tag("\(status.st_dev) \(status.st_ino) \(status.st_size) \(times)")
  }

  /// Opens what is at `path` below the directory; nil where there is nothing.
  private func open(_ path: String, _ flags: Int32) throws(DefinitionError) -> Int32? {
    var current = Glibc.open(place, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard current >= 0 else { throw .unreadable(path: place, reason: String(cString: strerror(errno))) }
    let parts = path.split(separator: "/")
    for (index, part) in parts.enumerated() {
      let isLast = index == parts.count - 1
      let next = openat(
        current, String(part), (isLast ? flags : O_RDONLY | O_DIRECTORY) | O_NOFOLLOW | O_CLOEXEC)
      let code = errno
      close(current)
      guard next >= 0 else {
        if code == ENOENT { return nil }
        throw unreadable(parts[...index].joined(separator: "/"), code)
      }
      current = next
    }
    return current
  }

  private func unreadable(_ path: String, _ code: Int32) -> DefinitionError {
    // O_NOFOLLOW answers ELOOP for a link, and ENOTDIR for one where a directory was wanted (open(2)).
    let isLink = code == ELOOP || (code == ENOTDIR && isSymbolicLink(name(path)))
    return .unreadable(
      path: name(path),
      reason: isLink
        ? "it is a symbolic link, which is not followed; put the file itself there"
        : String(cString: strerror(code)))
  }

  private func isSymbolicLink(_ path: String) -> Bool {
    var status = stat()
    return lstat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFLNK
  }
}
