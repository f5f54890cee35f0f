import CLinux
import Glibc
import Synchronization

/// A block device made of a file (loop(4)). It clears itself with its last user: with this object, or with the mount that
/// was made of it, however the process ends.
///
/// The kernel holds the very open file that was attached, so a lock (flock(2)) on that file lasts as long as the device.
public struct LoopDevice: Sendable {
  /// The device, open.
  public let descriptor: Descriptor
  /// N of `/dev/loopN`.
  public let number: Int
  /// `/dev/loopN`
  public var path: String { "/dev/loop\(number)" }

  /// Free numbers are asked for, then taken: threads of ours take turns, and lose only to other processes.
  private static let turn = Mutex(())
  private static let attempts = 100

  /// Attaches an open image to a device that nobody uses. Past the host's page cache where its file system can, so that
  /// data isn't kept twice.
  /// - Parameters:
  ///   - name: what errors call the image.
  ///   - readOnly: nothing is ever written to the image; it may then be open for reading alone.
  public static func attach(_ image: Descriptor, name: String, readOnly: Bool) throws(LinuxError) -> LoopDevice {
    let control: Descriptor
    do throws(LinuxError) {
      control = try Descriptor.open("/dev/loop-control", O_RDWR)
    } catch {
      throw LinuxError(
        error.operation, error.object, code: error.code,
        advice: "images need the kernel's loop devices (modprobe loop; in a unit, DeviceAllow=/dev/loop-control rw)")
    }
    let flags = UInt32(CL_LOOP_AUTOCLEAR | CL_LOOP_DIRECT_IO | (readOnly ? CL_LOOP_READ_ONLY : 0))
    return try withExtendedLifetime((control, image)) { () throws(LinuxError) in
      for _ in 0..<attempts {
        let taken = try turn.withLock { (_) throws(LinuxError) in
          try take(control: control.number, image: image.number, flags: flags, name: name)
        }
        if let taken { return taken }
      }
      throw LinuxError(
        "LOOP_CONFIGURE", name, code: EBUSY, advice: "others took each free loop device first; try again")
    }
  }

  /// One try; nil where somebody else was faster.
  private static func take(control: Int32, image: Int32, flags: UInt32, name: String) throws(LinuxError) -> LoopDevice?
  {
    let number = try check(cl_loop_free(control), "LOOP_CTL_GET_FREE", "/dev/loop-control")
    let path = "/dev/loop\(number)"
    let device: Descriptor
    do throws(LinuxError) {
      device = try Descriptor.open(path, flags & UInt32(CL_LOOP_READ_ONLY) == 0 ? O_RDWR : O_RDONLY)
    } catch  where error.code == ENXIO || error.code == ENODEV || error.code == EBUSY { return nil }
    if withExtendedLifetime(device, { cl_loop_configure(device.number, image, flags) }) < 0 {
      let error = LinuxError.last("LOOP_CONFIGURE", "\(path) for \(name)")
      // Taken between both calls, or held for a moment by whoever looks at every block device (udev).
      if error.code == EBUSY { return nil }
      throw error
    }
    return LoopDevice(descriptor: device, number: Int(number))
  }

  /// Whether it bypasses the page cache of the file system that the image is on.
  public var isDirect: Bool {
    var flags: UInt32 = 0
    let answer = withExtendedLifetime(descriptor) { cl_loop_flags(descriptor.number, &flags) }
    return answer == 0 && flags & UInt32(CL_LOOP_DIRECT_IO) != 0
  }

  /// Whether some image is attached to the device of this number now.
  public static func isAttached(_ number: Int) -> Bool {
    access("/sys/block/loop\(number)/loop/backing_file", F_OK) == 0
  }
}
