import Glibc

/// Where the operator keeps the credentials of tool servers: `<server>.env` in each directory.
public struct SecretStore: Sendable, Hashable {
  /// Looked at in this order; the first file that is there counts.
  public var directories: [String]

  /// Bytes of a file; more is no list of credentials.
  static let limit = 64 << 10

  /// A store in these directories.
  public init(directories: [String]) { self.directories = directories }

  /// A store in systemd's credentials (`LoadCredential=github.env:…`, systemd.exec(5)), then in a directory.
  public init(directory: String, environment: [String: String]) {
    let credentials = environment["CREDENTIALS_DIRECTORY"].flatMap { $0.hasPrefix("/") ? $0 : nil }
    directories = (credentials.map { [$0] } ?? []) + [directory]
  }

  /// A server's secrets by their names; none where there is no file.
  /// - Throws: where a file is there and can't be trusted, read or understood.
  public func secrets(of server: String) throws(SecretError) -> [String: String] {
    for directory in directories {
      let path = "\(directory)/\(server).env"
      let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
      if descriptor < 0 {
        if errno == ENOENT || errno == ENOTDIR { continue }
        throw SecretError("\(path) can't be read: \(String(cString: strerror(errno))); let this user read it")
      }
      defer { close(descriptor) }
      try check(descriptor, path)
      return try SecretFile.parse(try text(descriptor, path), file: path)
    }
    return [:]
  }

  /// Whoever else could read the file has the secret already; whoever else could write it could have any program's
  /// environment filled.
  private func check(_ descriptor: Int32, _ path: String) throws(SecretError) {
    var status = stat()
    guard fstat(descriptor, &status) == 0 else {
      throw SecretError("\(path) can't be looked at: \(String(cString: strerror(errno)))")
    }
    guard status.st_mode & S_IFMT == S_IFREG else { throw SecretError("\(path) is not a file") }
    guard status.st_uid == 0 || status.st_uid == geteuid() else {
      throw SecretError("\(path) belongs to user \(status.st_uid); give it to root: chown root:botburrow \(path)")
    }
    guard status.st_mode & 0o037 == 0 else {
      let mode = String(status.st_mode & 0o777, radix: 8)
      throw SecretError("\(path) has mode \(mode), so others may read or change it; chmod 640 \(path)")
    }
  }

  private func text(_ descriptor: Int32, _ path: String) throws(SecretError) -> String {
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 8192)
    while bytes.count <= Self.limit {
      let count = read(descriptor, &buffer, buffer.count)
      if count < 0 && errno == EINTR { continue }
      guard count >= 0 else { throw SecretError("\(path) can't be read: \(String(cString: strerror(errno)))") }
      if count == 0 { break }
      bytes += buffer[..<count]
    }
    guard bytes.count <= Self.limit else { throw SecretError("\(path) has more than \(Self.limit) bytes") }
    guard let text = String(validating: bytes, as: UTF8.self) else { throw SecretError("\(path) is not UTF-8 text") }
    return text
  }
}
