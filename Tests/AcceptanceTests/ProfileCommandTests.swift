import Glibc
import JSON
import Linux
import Testing

extension Acceptance {
  /// `botburrow profile …` at the terminal: what is printed, and how it ends.
  @Suite struct ProfileCommandTests {
    private func output(_ arguments: [String], code: Int32 = 0) async throws -> String {
      let folder = try Folder()
      defer { folder.remove() }
      let program = try await Program.start(
        "profile", [Product.botburrow, "profile"] + arguments + ["--profiles", Product.profiles], in: folder.path)
      #expect(try await program.ended(within: .seconds(20)) == .exited(code), "\(program.errors)")
      return program.output
    }

    @Test func profilesAreListed() async throws {
      let text = try await output(["list"])
      for name in ["default", "strict", "claude-code"] {
        #expect(text.split(separator: "\n").contains { $0.hasPrefix(name + " ") })
      }
      // No colour where nobody looks.
      #expect(!text.contains("\u{1B}"))
      let json = try JSONValue(parsing: Array(try await output(["list", "--json"]).utf8))
      #expect(json.array?.contains { $0["name"] == "strict" && $0["network"] == "none" } == true)
    }

    @Test func oneIsShownAndExplained() async throws {
      #expect(try await output(["show", "sidecar"]).hasPrefix("# Resolved from sidecar, default.\ndescription: "))
      let json = try JSONValue(parsing: Array(try await output(["show", "sidecar", "--json"]).utf8))
      let rule = json["rules"]?.array?.first { $0["key"] == "hostname" }
      #expect(rule?["value"] == "sidecar" && rule?["file"]?.string?.hasSuffix("/sidecar.yaml") == true)
      #expect(try await output(["explain", "strict"]).contains("there is no network"))
    }

    @Test func differencesAndErrorsAreExitCodes() async throws {
      #expect(try await output(["diff", "default", "default"]) == "")
      #expect(try await output(["diff", "default", "strict"], code: 1).contains("+ network: none\n"))
      let check = try await output(["check"])
      #expect(check.contains("strict: good\n"))
      #expect(try await output(["check", "nobody"], code: 1).contains("nobody: can't be used\n"))
      #expect(try await output(["show", "nobody"], code: 1) == "")
    }
  }
}
