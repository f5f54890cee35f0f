#if DEBUG
  import Glibc
  import Leftovers
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
            Repository.products + "/botburrow-chaos",
            [
              "botburrow-chaos", "--programs", Repository.products, "--profiles", Repository.profiles, "--items", "60",
              "--rate",
              "10", "--pause", "0.7", "--lease", "4",
            ], environment: ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"], descriptors: [null, stdout, stdout]))
        stdout.close()
        let text = String(decoding: try output.readAll(limit: 1 << 20), as: UTF8.self)
        return (try process.wait(), text)
      }
      #expect(end == .exited(0), "\(output)")
      #expect(output.hasSuffix(" lost 0 answered-twice 0 leaked 0\n"), "\(output)")
    }
  }
#endif
