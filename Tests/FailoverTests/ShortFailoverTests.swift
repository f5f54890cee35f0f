#if DEBUG
  import Glibc
  import Leftovers
  import Linux
  import Testing

  /// The short form of `make failover`: few blows, all systems at once.
  @Suite("ShortFailover", .serialized)
  struct ShortFailoverTests {
    @Test func `Another leads in time, and nobody writes in a stale epoch`() async throws {
      let (end, output) = try await Thread.run {
        let (output, stdout) = try makePipe()
        let null = try Descriptor.open("/dev/null", O_RDWR)
        let process = try ProcessHandle(
          child: try spawn(
            Repository.products + "/botburrow-failover",
            [
              "botburrow-failover", "--programs", Repository.products, "--kills", "4", "--hand-overs", "6", "--stops",
              "2", "--systems", "6", "--coordinators", "2",
            ], environment: ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"], descriptors: [null, stdout, stdout]))
        stdout.close()
        let text = String(decoding: try output.readAll(limit: 1 << 20), as: UTF8.self)
        return (try process.wait(), text)
      }
      #expect(end == .exited(0), "\(output)")
      #expect(output.hasSuffix(", stops 2, writes in a stale epoch 0\n"), "\(output)")
    }
  }
#endif
