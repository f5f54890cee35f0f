import Sandbox

private let noServer = "the host has no name server"

extension Profile {
  /// Directories that can be written.
  var writable: [String] { scratch.map(\.path) + ["/run/agent/out"] }
  /// Paths of the host, and places of its own, that are there besides what every sandbox has.
  var shown: [String] { readOnly.map(\.path) + scratch.map(\.path) }
}

extension Probe {
  static func files(_ profile: Profile) -> [Probe] {
    hostFiles(profile) + readOnlyFiles + hostDirectories(profile) + ownFiles(profile)
  }

  private static func hostFiles(_ profile: Profile) -> [Probe] {
    let own = profile.writable[0]
    return [
      .held(.files, "the host's password hashes", "read /etc/shadow", "ENOENT", control: .answers("content")),
      .held(
        .files, "a readable file of the host outside /usr", "read {secret}", "ENOENT", control: .answers("content")),
      .held(
        .files, "the same through a symbolic link", "through-link {secret} \(own)", "ENOENT",
        control: .acting("through-link {secret} /var/tmp")),
      .held(.files, "the same by climbing above the root", "climb 64 {secret-below-root}", "ENOENT"),
      .held(
        .files, "the same from the root's parent", "read /../../..{secret}", "ENOENT", control: .answers("content")),
      .held(
        .files, "the same through its own /proc/self/root", "read /proc/self/root{secret}", "ENOENT",
        control: .answers("content")),
      .held(
        .files, "the same through its own working directory", "read /proc/self/cwd/../../..{secret}", "ENOENT",
        control: .init(script: #"cd /var/tmp; exec "$@""#, outside: ["content"])),
      .held(
        .files, "another sandbox's workspace through every /proc/N/root", "find-through-proc /workspace/marker {token}",
        "none", control: .answers("found")),
      .held(
        .files, "the supervisor's socket", "connect-unix /run/botburrow/supervisor.sock", "ENOENT",
        control: .acting("connect-unix {listener}")),
      .held(.files, "a listening socket of the host by its path", "connect-unix {listener}", "ENOENT"),
      .held(.files, "a file by its handle (CVE-2014-6407's kin)", "open-by-handle /tmp", "EPERM"),
      .held(
        .files, "the host's accounts in /etc/passwd", "contains /etc/passwd daemon", "none",
        control: .answers("found")),
      .held(
        .files, "the host's groups in /etc/group", "contains /etc/group daemon", "none", control: .answers("found")),
      .held(
        .files, "the host's name servers", "contains /etc/resolv.conf nameserver", "none",
        control: .answers("found").unless("none", noServer).unless("ENOENT", noServer)),
    ]
  }

  /// Directories that no shipped profile shows.
  private static func hostDirectories(_ profile: Profile) -> [Probe] {
    [
      "/root", "/home", "/boot", "/var", "/srv", "/opt", "/media", "/mnt", "/run/systemd", "/run/lock",
      "/etc/ssl/private",
      "/etc/systemd", "/etc/security",
    ].filter { path in !profile.shown.contains { $0 == path || $0.hasPrefix(path + "/") } }.map { path in
      .held(
        .files, "the directory \(path)", "list \(path)", "ENOENT",
        control: Control().unless("ENOENT", "the host has no \(path)"))
    }
  }

  /// A second wall (Landlock) may answer before the mount does.
  private static let readOnlyFiles: [Probe] = [
    .held(
      .files, "a new program in /usr", "create /usr/bin/probe-new", "EROFS", "EACCES",
      control: .fresh("--mount sh -c 'mount -t tmpfs none /usr/src; exec \"$@\"' sh", act: "create /usr/src/probe-new")),
    .held(.files, "attributes of a program in /usr", "chmod /usr/bin/env", "EROFS"),
    .held(.files, "content of a program in /usr", "write /usr/bin/[", "EACCES", "EROFS"),
    .held(
      .files, "a shorter program in /usr", "truncate /usr/bin/env", "EACCES", "EROFS",
      control: .inMemory("truncate /mnt/disk")),
    .held(
      .files, "another name for a program in /usr", "rename /usr/bin/env", "EROFS", "EACCES",
      control: .inMemory("rename /mnt/disk")),
    .held(
      .files, "times of a program in /usr", "set-times /usr/bin/env", "EROFS", control: .inMemory("set-times /mnt/disk")
    ),
    .held(
      .files, "a second name for a program of /usr in /usr", "link /usr/bin/env /usr/bin/probe-link", "EROFS", "EACCES",
      "EPERM",
      control: .inMemory("link /mnt/disk /mnt/probe-link")),
    .held(
      .files, "a program of /usr under a name in /tmp", "link /usr/bin/env /tmp/probe-link", "EXDEV", "EPERM",
      control: .inMemory("link /mnt/disk /mnt/probe-link")),
    .held(
      .files, "a nameless file in /usr", "nameless /usr/bin", "EROFS", "EACCES", control: .inMemory("nameless /mnt")),
    .held(
      .files, "a new file in the root directory", "create /probe-new", "EROFS", "EACCES",
      control: .acting("create /var/tmp/probe-new")),
    .held(
      .files, "a new directory in the root directory", "mkdir /probe-new", "EROFS", "EACCES",
      control: .acting("mkdir /var/tmp/probe-new-directory")),
    .held(
      .files, "a new file in /etc", "create /etc/probe-new", "EROFS", "EACCES",
      control: .acting("create /var/tmp/probe-new-file")),
    .held(.files, "accounts in /etc/passwd", "write /etc/passwd", "EACCES", "EROFS"),
    .held(
      .files, "name servers in /etc/resolv.conf", "write /etc/resolv.conf", "EACCES", "EROFS",
      control: Control().unless("ENOENT", "the host has no such file")),
    .held(
      .files, "its own given files", "write /run/agent/probe x", "EACCES", "EROFS",
      control: .inMemory("write /mnt/disk x")),
    .held(
      .files, "setuid bits in /usr", "mount-flags /usr", "ro,nosuid,nodev",
      control: .answers("rw,suid,dev", "ro,suid,dev", "rw,suid,nodev", "rw,nosuid,nodev")),
  ]

  /// In what it may write.
  private static func ownFiles(_ profile: Profile) -> [Probe] {
    profile.writable.flatMap { path in
      [
        .held(
          .files, "setuid bits in \(path)", "mount-flags \(path)", "rw,nosuid,nodev",
          control: .init(act: ["mount-flags", "/"], outside: ["rw,suid,dev"])),
        .held(
          .files, "making a device in \(path)", "mknod \(path)/null", "EPERM", "EACCES",
          control: .inMemory("mknod /mnt/null")),
        .held(
          .files, "a program with capabilities in \(path)",
          "attribute \(path) security.capability 0100000200040000000000000000000000000000", "EPERM",
          control: .inMemory("attribute /mnt security.capability 0100000200040000000000000000000000000000")),
        .held(
          .files, "an administrator's attribute in \(path)", "attribute \(path) trusted.probe 00", "EPERM",
          control: .inMemory("attribute /mnt trusted.probe 00")),
        .held(
          .files, "a file of somebody else's in \(path)", "give-away \(path)", "EPERM",
          control: .inMemory("give-away /mnt")),
      ]
    }
  }
}
