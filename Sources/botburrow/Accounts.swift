import ArgumentParser
import Glibc

/// Users of this host.
enum Accounts {
  /// A user by name or number.
  static func user(_ text: String) throws -> (uid: uid_t, gid: gid_t) {
    if let entry = getpwnam(text) { return (entry.pointee.pw_uid, entry.pointee.pw_gid) }
    if let number = uid_t(text) {
      return (number, getpwuid(number).map { $0.pointee.pw_gid } ?? gid_t(number))
    }
    throw ValidationError("there is no user '\(text)' on this host; create it or name another")
  }
}
