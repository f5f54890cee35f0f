#if DEBUG
  import Glibc
  import Linux
  import Testing

  /// The short form of `make chaos`: few questions, a short lease, a blow a second.
  @Suite("ShortChaos", .enabled(if: geteuid() == 0, "needs root"), .serialized)
  struct ShortChaosTests {
    @Test func `Nothing is lost, doubled or left while everything is killed`() async throws {
      let (end, output) = try await Thread.run {
        let (output, stdout) = try makePipe()
        let null = try Descriptor.open("/dev/null", O_RDWR)
        let process = try ProcessHandle(
          child: try spawn(
            Self.products + "/botburrow-chaos",
            [
              "botburrow-chaos", "--programs", Self.products, "--profiles", Self.profiles, "--items", "60", "--rate",
              "10", "--pause", "0.7", "--lease", "4",
            ], environment: ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"], descriptors: [null, stdout, stdout]))
        stdout.close()
        let text = String(decoding: try output.readAll(limit: 1 << 20), as: UTF8.self)
        return (try process.wait(), text)
      }
      #expect(end == .exited(0), "\(output)")
      #expect(output.hasSuffix(" lost 0 answered-twice 0 leaked 0\n"), "\(output)")
    }

    private static let profiles = #filePath.split(separator: "/").dropLast(3).reduce("") { "\($0)/\($1)" } + "/profiles"
    private static let products: String = {
      var buffer = [UInt8](repeating: 0, count: 4096)
      let count = buffer.withUnsafeMutableBytes { bytes in
        bytes.bindMemory(to: CChar.self).baseAddress.map { readlink("/proc/self/exe", $0, bytes.count) } ?? 0
      }
      return String(decoding: buffer[..<max(0, count)], as: UTF8.self).split(separator: "/").dropLast()
        .reduce("") { "\($0)/\($1)" }
    }()
  }
#endif
