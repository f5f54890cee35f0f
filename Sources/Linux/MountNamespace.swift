import CLinux
import Glibc

/// Mount namespaces (mount_namespaces(7)).
public enum MountNamespace {
  /// Puts the whole process (call before other threads exist) into a mount namespace of its own. What the host mounts later
  /// still shows; what is mounted here doesn't show there.
  public static func isolateProcess() throws(LinuxError) {
    try check(cl_unshare(Int32(CL_NEWNS)), "unshare", "CLONE_NEWNS")
    let recursiveSlave: UInt = 0x4000 | 0x80000  // MS_REC | MS_SLAVE
    try check(cl_mount(nil, "/", nil, recursiveSlave, nil), "mount MS_SLAVE", "/")
  }
}
