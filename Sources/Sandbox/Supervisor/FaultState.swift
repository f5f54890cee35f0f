#if DEBUG
  import CPlan
  import Glibc
  import Linux
  import Synchronization

  /// Every step of the supervisor that can fail. What PID 1 and the root's builder do has the names of its operations,
  /// what launchers do those of `LaunchStep`.
  enum FaultPoint: String, CaseIterable, Sendable {
    // The supervisor's start
    case sealInit = "seal botburrow-init"
    case holdUserBlock = "hold user block"
    case leaveNetwork = "leave the host's network"
    case leaveMounts = "leave the host's mounts"
    case serveGateway = "serve gateway"
    case installFilter = "install packet filter"
    case makeGroupTree = "make group tree"
    case makeLifeline = "make lifeline"
    case giveUpPowers = "give up powers"
    case startLaunchers = "prepare launchers"
    case startLauncher = "start launcher"
    // A connection
    case accept = "accept connection"
    case identifyPeer = "identify peer"
    case receiveRequest = "receive request"
    case makeCancellation = "make cancellation pipe"
    case readProfile = "read profile"
    case answer = "answer"
    // Outside a sandbox
    case takeUserRange = "take user range"
    case layOutRoot = "lay out root"
    case openRoot = "open root"
    case unshareRoot = "unshare root"
    case leaveOldRoot = "leave the old root"
    case makeGroup = "make group"
    case limitGroup = "limit group"
    case takeNetwork = "take network namespace"
    case makeNetwork = "make network namespace"
    case connectLink = "connect link"
    case listen = "listen"
    case openWays = "open ways"
    case takeFile = "take file"
    case takeSecrets = "take secrets"
    case openWorkspace = "open workspace"
    case makeImage = "make image"
    case attachImage = "attach image"
    case mountImage = "mount image"
    case sealPlan = "seal plan"
    case makeControl = "make control socket"
    case openGroup = "open group"
    case requestLaunch = "request launch"
    // While it lives
    case watch = "watch"
    case hear = "hear PID 1"
    case mapWorkspace = "map workspace"
    case inspect = "inspect PID 1"
    case order = "order start"
    case relay = "relay signal"
    // Its end
    case endInit = "end PID 1"
    case emptyGroup = "empty group"
    case removeGroup = "remove group"
    case closeWorkspace = "close workspace"
    case closeWays = "close ways"
  }

  extension RootOperation {
    /// What is done, whatever it is done to.
    var kind: String {
      switch self {
      case .directory: "root: make directory"
      case .symlink: "root: make symlink"
      case .file: "root: make file"
      case .tree: "root: attach tree"
      case .openSource: "root: open source"
      case .part: "root: attach part"
      case .closeSource: "root: close source"
      case .device: "root: attach device"
      case .emptyProc: "root: mount empty proc"
      case .remountReadOnly: "root: remount read-only"
      }
    }
  }

  /// Steps of a launcher and of what becomes PID 1, before the plan.
  enum LaunchStep {
    static let all = [
      PLAN_LAUNCH_NETWORK, PLAN_LAUNCH_MOUNTS, PLAN_LAUNCH_DESCRIPTORS, PLAN_LAUNCH_CLONE, PLAN_LAUNCH_MAPS,
      PLAN_LAUNCH_READ,
    ]
  }

  /// What the variable asks for, and how often each of it was passed.
  final class FaultState: Sendable {
    static let shared = FaultState()

    enum Effect: Equatable, Sendable {
      case fail(Int32)
      case stop, kill, tell
    }
    struct Fault: Equatable, Sendable {
      var effect: Effect
      /// The only passing that counts, from 1; nil: every one.
      var turn: Int?
      var name: String
      var passed = 0
    }
    private struct Known {
      var text: [UInt8]?
      var faults: [Fault] = []
      var told: Set<String> = []
    }
    private let file: Descriptor?
    private let known = Mutex(Known())

    private init() {
      let text = getenv("BOTBURROW_FAULTS").map { String(cString: $0) } ?? ""
      // Opened once: a thread that lays out a root doesn't see the host's files.
      file = text.hasPrefix("/") ? try? Descriptor.open(text) : nil
      if file == nil { known.withLock { $0 = Known(text: Array(text.utf8), faults: Self.parse(text)) } }
    }

    /// A line that says nothing known has no effect but a complaint.
    static func parse(_ text: String) -> [Fault] {
      text.split(separator: "\n").filter { !$0.hasPrefix("#") }.compactMap { line in
        let parts = line.split(separator: " ", maxSplits: 1).map(String.init)
        let words = parts.first?.split(separator: "@").map(String.init) ?? []
        let effect: Effect? =
          switch words.first {
          case nil: nil
          case "stop": .stop
          case "kill": .kill
          case "tell": .tell
          case let word?: (Int32(word) ?? errorNumber(word)).map { .fail($0) }
          }
        guard parts.count == 2, let effect else {
          say("BOTBURROW_FAULTS: '\(line)' is not EFFECT[@N] NAME")
          return nil
        }
        return Fault(effect: effect, turn: words.count > 1 ? Int(words[1]) : nil, name: parts[1])
      }
    }

    private static func errorNumber(_ name: String) -> Int32? {
      (1...133).first { errorName($0).hasPrefix(name + " ") }
    }

    /// What shall happen at a step, which may have two names.
    private func effect(at names: [String]) -> Effect? {
      known.withLock { known in
        refresh(&known)
        for index in known.faults.indices
        where known.faults[index].name == "*" || names.contains(known.faults[index].name) {
          known.faults[index].passed += 1
          let fault = known.faults[index]
          if let turn = fault.turn, turn != fault.passed { continue }
          if fault.effect != .tell { return fault.effect }
          if known.told.insert(names[0]).inserted { Self.say("fault point: \(names.joined(separator: "\t"))") }
        }
        return nil
      }
    }

    private func refresh(_ known: inout Known) {
      guard let file else { return }
      var bytes = [UInt8](repeating: 0, count: 4096)
      let count = withExtendedLifetime(file) {
        bytes.withUnsafeMutableBytes { pread(file.number, $0.baseAddress, $0.count, 0) }
      }
      bytes.removeLast(bytes.count - max(0, count))
      if known.text != bytes { known = Known(text: bytes, faults: Self.parse(String(decoding: bytes, as: UTF8.self))) }
    }

    private static func say(_ text: String) { _ = (text + "\n").withCString { write(STDERR_FILENO, $0, strlen($0)) } }

    func pass(_ name: String, kind: String? = nil) throws(LinuxError) {
      switch effect(at: [name] + (kind.map { [$0] } ?? [])) {
      case .fail(let code): throw LinuxError(name, "", code: code)
      case .stop: raise(SIGSTOP)
      case .kill: raise(SIGKILL)
      case .tell, nil: break
      }
    }

    func marked(_ plan: [UInt8], _ operations: [InsideOperation]) -> [UInt8] {
      var plan = plan
      var cursor = MemoryLayout<plan_header>.size
      for operation in operations {
        let header = plan.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: cursor, as: plan_operation.self) }
        let code = header.code | mark(at: [operation.description, operation.name])
        withUnsafeBytes(of: code) { plan.replaceSubrange(cursor..<cursor + $0.count, with: $0) }
        cursor += (Int(header.length) + 7) & ~7
      }
      return plan
    }

    var launchMark: UInt32 {
      for step in LaunchStep.all {
        let mark = mark(at: [LiveSandbox.step(step.rawValue)])
        if mark != 0 { return mark | step.rawValue & 0xffff }
      }
      return 0
    }

    /// In the upper half: the errno to answer, or PLAN_FAULT_PAUSE.
    private func mark(at names: [String]) -> UInt32 {
      switch effect(at: names) {
      case .fail(let code): UInt32(code) << 16
      case .stop: PLAN_FAULT_PAUSE << 16
      case .kill, .tell, nil: 0
      }
    }

    func takes(_ reportKind: UInt32, _ control: PacketSocket) -> Bool {
      if reportKind != REPORT_PAUSED.rawValue { return false }
      raise(SIGSTOP)
      // It may have been killed meanwhile, which is heard next.
      try? control.send([UInt8(ORDER_GO_ON.rawValue)])
      return true
    }
  }
#endif
