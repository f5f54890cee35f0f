import CInit

/// One system call; the answer is the kernel's own, `-errno` on failure.
@inline(__always)
func call(
  _ number: Int, _ a: Int = 0, _ b: Int = 0, _ c: Int = 0, _ d: Int = 0, _ e: Int = 0, _ f: Int = 0
) -> Int {
  sys6(number, a, b, c, d, e, f)
}

/// Repeats a call that a signal interrupted.
@inline(__always)
func retrying(_ body: () -> Int) -> Int {
  while true {
    let answer = body()
    if answer != -Int(EINTR) { return answer }
  }
}

/// Ends this process and all its threads.
func exit(_ code: Int) -> Never {
  while true { _ = call(NR_exit_group.number, code) }
}

/// The address of a pointer as the kernel takes it.
@inline(__always)
func address(_ pointer: UnsafeRawPointer?) -> Int { Int(bitPattern: pointer) }

/// The address of a static text, NUL-terminated by the compiler.
@inline(__always)
func text(_ literal: StaticString) -> Int { Int(bitPattern: literal.utf8Start) }

// Numbers of the Linux ABI that this target needs from headers of libc, which it doesn't have.
let EINTR: Int32 = 4
let ENOENT: Int32 = 2
let ENODEV: Int32 = 19
let EACCES: Int32 = 13
let EPERM: Int32 = 1
let EINVAL: Int32 = 22
let ENOTDIR: Int32 = 20
let currentDirectory = -100  // AT_FDCWD
let closeOnExec = 0o2000000  // O_CLOEXEC, also SFD_, OPEN_TREE_
let signalKill = 9
let signalChild = 17
let pollIn: Int16 = 1
let pollHangUp: Int16 = 0x10
let pollError: Int16 = 0x8

extension RawRepresentable where RawValue: BinaryInteger {
  /// A C enumerator as the number that a call takes.
  @inline(__always) var number: Int { Int(rawValue) }
}
extension Int {
  /// Anonymous C enumerators come as `Int` already.
  @inline(__always) var number: Int { self }
}
