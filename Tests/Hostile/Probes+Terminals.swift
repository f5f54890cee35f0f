import Sandbox

private let noTerminal = "this machine gives no terminals"

extension Probe {
  /// Clocks, and terminals of sessions.
  static let terminals: [Probe] = [
    .held(.terminals, "hang up its terminal", "vhangup", "EPERM"),
    .held(
      .terminals, "type into its terminal", "terminal 0x5412", "EPERM",
      control: Control().unless("EIO", "this kernel has no TIOCSTI")),
    .held(.terminals, "paste into its terminal", "terminal 0x541c", "EPERM", control: .answers("ENOTTY")),
    .held(.terminals, "another line discipline", "terminal 0x5423", "EPERM"),
    .held(
      .terminals, "take another session's terminal", "steal-terminal", "EPERM",
      control: Control().unless("no terminal", noTerminal)),
    .held(
      .terminals, "hang up a terminal by request", "terminal 0x5437", "EPERM",
      control: Control().unless("no terminal", noTerminal)),
    .held(
      .terminals, "lock a terminal's settings", "terminal 0x5457", "EPERM",
      control: Control().unless("no terminal", noTerminal)),
    .held(
      .terminals, "somebody's terminal as its own", "controlling-terminal", "ENXIO",
      control: Control(act: ["with-terminal", "controlling-terminal"]).unless("no terminal", noTerminal)),
    .held(.terminals, "set the time zone", "settimeofday", "EPERM"),
    .held(.terminals, "set a clock", "clock_settime", "EPERM", control: .answers("EINVAL")),
    .held(.terminals, "move the clock", "clock_adjtime", "EPERM"),
    .held(.terminals, "adjust the clock", "adjtimex", "EPERM"),
    .held(
      .terminals, "a timer that wakes the machine", "alarm-timer", "EPERM", "EOPNOTSUPP",
      control: Control().unless("EOPNOTSUPP", "this machine has no clock that wakes it")),
    .held(
      .terminals, "another beginning of its time", "time-offset", "EACCES", "EPERM",
      control: .acting("time-offset fresh")),
    .held(
      .terminals, "the machine's clock", "open /dev/rtc", "ENOENT",
      control: Control().unless("ENOENT", "this machine has no clock").unless(
        "EBUSY", "somebody holds this machine's clock")),
  ]
}
