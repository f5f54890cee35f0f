import Glibc

/// Colour where somebody looks, and nowhere else: on a terminal, unless NO_COLOR is set (https://no-color.org).
enum Style {
  /// In a colour of ECMA-48 (SGR), on standard output or on another descriptor.
  static func paint(_ text: String, _ code: Int, on descriptor: Int32 = STDOUT_FILENO) -> String {
    isOn(descriptor) ? "\u{1B}[\(code)m\(text)\u{1B}[0m" : text
  }
  static func red(_ text: String) -> String { paint(text, 31) }
  static func green(_ text: String) -> String { paint(text, 32) }
  static func yellow(_ text: String) -> String { paint(text, 33) }

  /// Whether somebody looks at it.
  static func isOn(_ descriptor: Int32 = STDOUT_FILENO) -> Bool {
    isatty(descriptor) != 0 && Places.variable("NO_COLOR") == nil
  }
}
