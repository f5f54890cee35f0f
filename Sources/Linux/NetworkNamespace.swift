import CLinux
import Glibc

/// Network namespaces: made by one thread that visits them and comes back.
public enum NetworkNamespace {
  /// Puts the whole process (call before other threads exist) into a fresh network namespace of its own.
  public static func isolateProcess() throws(LinuxError) {
    try check(cl_unshare(Int32(CL_NEWNET)), "unshare", "CLONE_NEWNET")
  }

  /// The namespace of the calling thread.
  public static func current() throws(LinuxError) -> Descriptor { try Descriptor.open("/proc/thread-self/ns/net") }

  /// Gives the current namespace's loopback the gateway address.
  public static func serveGateway(at address: IPv4Address) throws(LinuxError) {
    try NetlinkSocket.route().exchange(loopbackMessages(address: address), "loopback \(address)")
  }

  /// Brings up the near end of a link, in the namespace where `socket` was opened.
  public static func connect(_ link: VirtualLink, through socket: NetlinkSocket) throws(LinuxError) {
    try socket.exchange(linkMessages(outside: link), link.name)
  }

  /// Makes a namespace with the far end of `link`; the near end appears in `home`, still down. The calling thread is
  /// back home at the end; if it can't come back the process ends, for a thread in the wrong namespace would do its work
  /// in the wrong place.
  public static func make(wired link: VirtualLink, home: Descriptor) throws(LinuxError) -> Descriptor {
    try make(home: home, linkMessages(inside: link, gatewayNamespace: home.number), link.name)
  }

  /// Makes a namespace with nothing but its loopback, on the same terms.
  public static func makeUnwired(home: Descriptor) throws(LinuxError) -> Descriptor {
    try make(home: home, loopbackMessages(), "loopback")
  }

  private static func make(
    home: Descriptor, _ messages: NetlinkBatch, _ object: String
  ) throws(LinuxError) -> Descriptor {
    try check(cl_unshare(Int32(CL_NEWNET)), "unshare", "CLONE_NEWNET")
    defer { if withExtendedLifetime(home, { cl_setns(home.number, Int32(CL_NEWNET)) }) < 0 { abort() } }
    let namespace = try current()
    try NetlinkSocket.route().exchange(messages, object)
    return namespace
  }
}
