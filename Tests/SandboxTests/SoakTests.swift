#if DEBUG
  import Glibc
  import Linux
  import Leftovers
  import Testing

  /// The soak's short form: few sandboxes, one death at each named step, some at random instants.
  @Suite("Soak", .enabled(if: geteuid() == 0, "needs root"), .serialized)
  struct SoakTests {
    @Test func `Sandboxes in a row and deaths at every step leave nothing`() async throws {
      let (end, output) = try await Thread.run {
        let (output, stdout) = try makePipe()
        let null = try Descriptor.open("/dev/null", O_RDWR)
        let process = try ProcessHandle(
          child: try spawn(
            Repository.products + "/botburrow-soak",
            [
              "botburrow-soak", "--release", Repository.products, "--debug", Repository.products, "--profiles",
              Repository.profiles, "--sandboxes", "300", "--kills", "120", "--each", "1",
            ], environment: ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"], descriptors: [null, stdout, stdout]))
        stdout.close()
        let text = String(decoding: try output.readAll(limit: 1 << 20), as: UTF8.self)
        return (try process.wait(), text)
      }
      #expect(end == .exited(0), "\(output)")
      #expect(output.hasSuffix("left 0\n"), "\(output)")
    }
  }
#endif
