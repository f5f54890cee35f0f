import CPlan

/// Writes a plan's inside part as botburrow-init reads it; the layout is CPlan.h's.
struct PlanEncoder {
  private var bytes: [UInt8] = []

  /// The whole plan in one block.
  static func encode(_ operations: [InsideOperation]) -> [UInt8] {
    var encoder = PlanEncoder()
    encoder.bytes = [UInt8](repeating: 0, count: MemoryLayout<plan_header>.size)
    for operation in operations { encoder.append(operation) }
    let header = plan_header(
      magic: PLAN_MAGIC, version: PLAN_VERSION, length: UInt32(encoder.bytes.count),
      operations: UInt32(operations.count))
    withUnsafeBytes(of: header) { encoder.bytes.replaceSubrange(0..<$0.count, with: $0) }
    return encoder.bytes
  }

  private mutating func append(_ operation: InsideOperation) {
    switch operation {
    case .setIdentity(let uid, let gid): put(PLAN_SET_IDENTITY, [uid, gid])
    case .unshare(let flags): put(PLAN_UNSHARE, [flags])
    case .hostname(let name): put(PLAN_HOSTNAME, text: name)
    case .mount(let type, let path, let flags, let options):
      put(PLAN_MOUNT, [flags.rawValue], path: path, text: type, data: Array(options.utf8) + [0])
    case .awaitMappedMounts: put(PLAN_AWAIT_MAPPED_MOUNTS)
    case .attach(let descriptor, let path): put(PLAN_ATTACH_TREE, [number(descriptor)], path: path)
    case .makeDirectory(let path, let mode): put(PLAN_MAKE_DIRECTORY, [mode], path: path)
    case .copyFile(let descriptor, let path, let mode): put(PLAN_COPY_FILE, [mode, number(descriptor)], path: path)
    case .mapSecrets(let descriptor): put(PLAN_MAP_SECRETS, [number(descriptor)])
    case .write(let text, let path): put(PLAN_WRITE, path: path, data: Array(text.utf8))
    case .maskFile(let path): put(PLAN_MASK_FILE, path: path)
    case .maskDirectory(let path): put(PLAN_MASK_DIRECTORY, path: path)
    case .readOnly(let path): put(PLAN_READ_ONLY, path: path)
    case .limit(let resource, let value): put(PLAN_RESOURCE_LIMIT, [resource.rawValue, value, value])
    case .dropBoundingSet: put(PLAN_DROP_BOUNDING_SET)
    case .secureBits(let bits): put(PLAN_SECUREBITS, [bits])
    case .noNewPrivileges: put(PLAN_NO_NEW_PRIVILEGES)
    case .notDumpable: put(PLAN_NOT_DUMPABLE)
    case .parentDeathSignal(let signal): put(PLAN_PARENT_DEATH_SIGNAL, [signal])
    case .dropCapabilities: put(PLAN_DROP_CAPABILITIES)
    case .landlock(let policy): put(PLAN_LANDLOCK, data: encode(policy))
    case .closeDescriptors(let first): put(PLAN_CLOSE_DESCRIPTORS, [first])
    case .seccomp(let filter): put(PLAN_SECCOMP, data: filter)
    case .ready: put(PLAN_READY)
    case .run(let program): put(PLAN_RUN, path: program.workingDirectory, data: encode(program))
    }
  }

  private func number(_ descriptor: Int) -> Int { Int(LAUNCH_FD_HANDED.rawValue) + descriptor }

  private mutating func put(
    _ code: plan_code, _ arguments: [Int] = [], path: String? = nil, text: String? = nil, data: [UInt8] = []
  ) {
    let start = bytes.count
    var tail: [UInt8] = []
    let size = MemoryLayout<plan_operation>.size
    func append(_ content: [UInt8]) -> UInt32 {
      while tail.count % 8 != 0 { tail.append(0) }
      let offset = UInt32(size + tail.count)
      tail += content
      return offset
    }
    let argument = { (index: Int) in index < arguments.count ? UInt64(bitPattern: Int64(arguments[index])) : 0 }
    var operation = plan_operation()
    operation.code = code.rawValue
    operation.argument = (argument(0), argument(1), argument(2), 0)
    operation.path = path.map { append(Array($0.utf8) + [0]) } ?? 0
    operation.text = text.map { append(Array($0.utf8) + [0]) } ?? 0
    operation.data = append(data)
    operation.data_length = UInt32(data.count)
    operation.length = UInt32(size + tail.count)
    withUnsafeBytes(of: operation) { bytes.append(contentsOf: $0) }
    bytes += tail
    while (bytes.count - start) % 8 != 0 { bytes.append(0) }
  }

  private func encode(_ policy: LandlockPolicy) -> [UInt8] {
    var place =
      MemoryLayout<plan_landlock>.size + policy.rules.count * MemoryLayout<plan_landlock_rule>.size
    let header = plan_landlock(
      handled_files: policy.handledFiles, handled_network: policy.handledNetwork, scoped: policy.scoped,
      rules: UInt32(policy.rules.count), attribute_size: UInt32(policy.attributeSize))
    var data = withUnsafeBytes(of: header) { Array($0) }
    var paths: [UInt8] = []
    for rule in policy.rules {
      let entry = plan_landlock_rule(access: rule.access, path: UInt32(place), reserved: 0)
      withUnsafeBytes(of: entry) { data.append(contentsOf: $0) }
      let path = Array(rule.path.utf8) + [0]
      paths += path
      place += path.count
    }
    return data + paths
  }

  /// Tables of offsets first, then the strings they point to.
  private func encode(_ program: InsideOperation.Program) -> [UInt8] {
    let lists = [program.candidates, program.arguments, program.environment]
    let spare = program.hasSecrets ? Int(PLAN_SECRETS_LIMIT) : 0
    var tables = MemoryLayout<plan_run>.size
    var starts: [UInt32] = []
    for (index, list) in lists.enumerated() {
      if index == 2 { tables += spare * 8 }
      starts.append(UInt32(tables))
      tables += (list.count + 1) * 8
    }
    var strings: [UInt8] = []
    var offsets: [UInt64] = []
    for (index, list) in lists.enumerated() {
      if index == 2 { offsets += [UInt64](repeating: 0, count: spare) }
      for text in list {
        offsets.append(UInt64(tables + strings.count))
        strings += Array(text.utf8) + [0]
      }
      offsets.append(0)
    }
    let header = plan_run(candidates: starts[0], arguments: starts[1], environment: starts[2], reserved: 0)
    return withUnsafeBytes(of: header) { Array($0) } + offsets.withUnsafeBytes { Array($0) } + strings
  }
}
