import CInit
import CPlan

// A test makes a step fail, or has this process wait before it (see CPlan.h). Debug builds alone have anything here.

#if DEBUG
  /// The answer in place of a step; nil: carry it out.
  func faulted(_ mark: UInt32, to control: Int) -> Int? {
    if mark == 0 { return nil }
    if mark != PLAN_FAULT_PAUSE { return -Int(mark) }
    report(REPORT_PAUSED, to: control)
    var byte: UInt8 = 0
    _ = withUnsafeMutableBytes(of: &byte) { bytes in
      retrying { call(NR_recvfrom.number, control, address(bytes.baseAddress), 1) }
    }
    return nil
  }

  /// The same for a step of the launch.
  func faulted(_ step: launch_step, _ request: launch_request, to control: Int) -> Int? {
    step.rawValue & 0xffff == request.fault & 0xffff ? faulted(request.fault >> 16, to: control) : nil
  }

  extension Operation {
    var code: UInt32 { header.code & 0xffff }
    var fault: Int? { faulted(header.code >> 16, to: PLAN_FD_CONTROL.number) }
  }
#else
  @inline(__always)
  func faulted(_ step: launch_step, _ request: launch_request, to control: Int) -> Int? { nil }

  extension Operation {
    @inline(__always) var code: UInt32 { header.code }
    @inline(__always) var fault: Int? { nil }
  }
#endif
