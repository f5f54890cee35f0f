import ArgumentParser
import Glibc
import JSON
import Sandbox
import YAML

/// `botburrow profile …`
struct ProfileCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "profile", abstract: "Look at sandbox profiles, compare them, write new ones.",
    discussion: """
      Which there are:          botburrow profile list
      All that one says:        botburrow profile show claude-code
      What that means, and why: botburrow profile explain claude-code
      Before it is used:        botburrow profile check
      What two differ in:       botburrow profile diff default strict
      What a program needs:     botburrow profile learn -- git status
      """,
    subcommands: [
      ProfileList.self, ProfileShow.self, ProfileExplain.self, ProfileCheckCommand.self, ProfileDiff.self,
      ProfileLearn.self, ProfileLearnChild.self,
    ])
}

/// Where profiles are read, and how they are shown.
struct ProfileOptions: ParsableArguments {
  @Option(help: "Directory of profiles.") var profiles: String?
  @Flag(help: "Print JSON instead of text.") var json = false

  func source() throws -> ProfileSource { ProfileSource(directory: try Places.profiles(profiles)) }

  /// Reads one, or says what is wrong and ends with 1.
  func load(_ name: String) throws -> ProfileFile.Loaded {
    do { return try ProfileFile.load(name, from: try source()) } catch let error as ProfileError {
      complain(error.description)
      throw ExitCode.failure
    }
  }

  static func names(_ arguments: [String]) -> [String] {
    ((try? Places.profiles(nil)).map { ProfileSource(directory: $0) } ?? .empty).names()
  }
}

extension CompletionKind {
  /// The names of profiles, asked when somebody presses Tab.
  static var profileNames: CompletionKind { .custom { arguments, _, _ in ProfileOptions.names(arguments) } }
}

/// `botburrow profile list`
struct ProfileList: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "list", abstract: "List the profiles with their limits; exit 1 if one can't be used.")
  @OptionGroup var options: ProfileOptions

  func run() throws {
    let source = try options.source()
    var rows = [["NAME", "EXTENDS", "NETWORK", "MEMORY", "CPUS", "PIDS", "TIMEOUT", "CALLS", "DESCRIPTION"]]
    var reports: [JSONValue] = []
    var broken: [String] = []
    for name in source.names() {
      do throws(ProfileError) {
        let loaded = try ProfileFile.load(name, from: source)
        rows.append([name] + Self.row(loaded.profile))
        reports.append(Self.json(loaded))
      } catch {
        broken.append(error.description)
        reports.append(["name": .string(name), "error": .string(error.description)])
      }
    }
    if options.json { print(try JSON.text(reports, pretty: true)) } else { Table.show(rows) }
    for sentence in broken { complain(sentence) }
    if !broken.isEmpty { throw ExitCode.failure }
  }

  private static func row(_ profile: Profile) -> [String] {
    let limits = profile.limits
    let calls = profile.syscalls
    return [
      profile.parents.first ?? "-", profile.network.rawValue, YAMLUnits.text(byteSize: limits.memory),
      "\(limits.cpus)", "\(limits.pids)", YAMLUnits.text(limits.timeout),
      calls.oci.map { $0.file } ?? "\(calls.allowed.count + calls.conditional.count)", profile.description,
    ]
  }

  private static func json(_ loaded: ProfileFile.Loaded) -> JSONValue {
    let (profile, limits) = (loaded.profile, loaded.profile.limits)
    return [
      "name": .string(profile.name), "description": .string(profile.description), "digest": .string(loaded.digest),
      "files": .array(loaded.files.map { .string($0) }), "extends": .array(profile.parents.map { .string($0) }),
      "network": .string(profile.network.rawValue), "memory_bytes": .integer(Int64(limits.memory)),
      "cpus": .number(limits.cpus), "pids": .integer(Int64(limits.pids)),
      "timeout_seconds": .number(limits.timeout / .seconds(1)),
    ]
  }
}

/// `botburrow profile show`
struct ProfileShow: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "show", abstract: "Print a profile with all that it inherits, as one file that extends nothing.",
    discussion: "What is printed can be saved and used as a profile. --json lists rule by rule, with the place of each."
  )
  @OptionGroup var options: ProfileOptions
  @Argument(help: "The profile's name.", completion: .profileNames) var name: String

  func run() throws {
    let loaded = try options.load(name)
    guard options.json else { return print(loaded.profile.yaml, terminator: "") }
    let report: JSONValue = [
      "name": .string(name), "description": .string(loaded.profile.description), "digest": .string(loaded.digest),
      "files": .array(loaded.files.map { .string($0) }),
      "extends": .array(loaded.profile.parents.map { .string($0) }), "rules": loaded.profile.json(loaded.origins),
    ]
    print(try JSON.text(report, pretty: true))
  }
}

/// `botburrow profile explain`
struct ProfileExplain: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "explain", abstract: "Say each rule of a profile in words, with the file and line that it comes from.",
    discussion: "'default' in place of a line: no file says so, it is what holds otherwise.")
  @OptionGroup var options: ProfileOptions
  @Argument(help: "The profile's name.", completion: .profileNames) var name: String

  func run() throws {
    let loaded = try options.load(name)
    if options.json { return print(try JSON.text(loaded.profile.json(loaded.origins), pretty: true)) }
    print(loaded.profile.description)
    for section in ProfileExplanation.sections(loaded) {
      print("\n\(Style.bold(section.title))")
      let width = section.lines.map(\.place.count).max() ?? 0
      for line in section.lines {
        print("  \(Style.dim(line.place.padded(to: width)))  \(line.text)")
      }
    }
  }
}

/// `botburrow profile check`
struct ProfileCheckCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "check",
    abstract: "Read and compile profiles, and look whether this host has what they need; exit 1 on errors.",
    discussion: "Warnings are about what works and is seldom meant; they don't change the exit code.")
  @OptionGroup var options: ProfileOptions
  @Argument(help: "Names; none: every profile.", completion: .profileNames) var names: [String] = []

  func run() throws {
    let source = try options.source()
    var reports: [JSONValue] = []
    var isWrong = false
    for name in names.isEmpty ? source.names() : names {
      var (errors, warnings): ([String], [String]) = ([], [])
      do throws(ProfileError) {
        let check = ProfileCheck(try ProfileFile.load(name, from: source))
        (errors, warnings) = (check.errors, check.warnings)
      } catch { errors = error.description.split(separator: "\n").map(String.init) }
      isWrong = isWrong || !errors.isEmpty
      reports.append([
        "name": .string(name), "errors": .array(errors.map { .string($0) }),
        "warnings": .array(warnings.map { .string($0) }),
      ])
      if !options.json { Self.show(name, errors, warnings) }
    }
    if options.json { print(try JSON.text(reports, pretty: true)) }
    if isWrong { throw ExitCode.failure }
  }

  private static func show(_ name: String, _ errors: [String], _ warnings: [String]) {
    print("\(name): " + (errors.isEmpty ? Style.green("good") : Style.red("can't be used")))
    for error in errors { print("  \(Style.red("error:")) \(error)") }
    for warning in warnings { print("  \(Style.yellow("warning:")) \(warning)") }
  }
}

/// `botburrow profile diff`
struct ProfileDiff: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "diff", abstract: "Show in which rules two profiles differ; exit 1 if they do.",
    discussion: "'-' is the first profile's, '+' the second's, each resolved. Names and descriptions don't count.")
  @OptionGroup var options: ProfileOptions
  @Argument(help: "The first profile.", completion: .profileNames) var first: String
  @Argument(help: "The second.", completion: .profileNames) var second: String

  func run() throws {
    let (left, right) = (try options.load(first).profile, try options.load(second).profile)
    let differences = ProfileDifference.between(left, right)
    if options.json {
      print(try JSON.text(differences.map(\.json), pretty: true))
    } else {
      for line in ProfileExplanation.lines(of: differences) {
        print(line.hasPrefix("-") ? Style.red(line) : line.hasPrefix("+") ? Style.green(line) : line)
      }
    }
    if !differences.isEmpty { throw ExitCode.failure }
  }
}
