import ArgumentParser
import Configuration
import Glibc
import JSON
import Linux
import Observe
import Sandbox

/// `botburrow receipt …`
struct ReceiptCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "receipt", abstract: "Look at what sandboxes were, and whether they are what they should be.",
    subcommands: [ReceiptShow.self, ReceiptVerify.self])
}

/// `botburrow receipt show`
struct ReceiptShow: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "show",
    abstract: "Show a receipt as a page.",
    discussion: """
      Every activation ends with a receipt: which walls it had, read back from the kernel, which limits, what it used, \
      what it was denied, and how it ended. Runners keep them in the directory receipts.directory of the configuration; \
      'botburrow sandbox run --receipt FILE' writes one.

      Exit code: 0; 2 where there is no such receipt.
      """)
  @Argument(help: "A file, or the id of an activation whose receipt is in the directory; without it the newest there.")
  var what: String?
  @Flag(help: "Print the receipt as it is, JSON.") var json = false
  @OptionGroup var place: ReceiptPlace

  func run() throws {
    let path = try what.map { try place.path(of: $0) } ?? place.newest()
    let receipt = try place.read(path)
    if json { return print(try JSON.text(receipt, pretty: true)) }
    print(ReceiptPage.text(receipt) { Timestamp.text($0 * 1_000_000) }, terminator: "")
  }
}

/// `botburrow receipt verify`
struct ReceiptVerify: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "verify",
    abstract: "Read a living sandbox's walls from the kernel, and say where they differ from its profile.",
    discussion: """
      Asks the supervisor how the sandbox should be, then looks itself, as root: namespaces, capabilities, seccomp, \
      user ids, cgroup and limits of every process; limits in the cgroup; mounts; the nftables rules and ways. What the \
      kernel doesn't show of another process (the rules of its seccomp filter and of Landlock) is not compared.

      Of an activation that is over, or of a FILE, the receipt is checked: whether every wall was read back, and is one.

      Exit code: 0 no difference; 1 differences, one a line; 2 no such activation or receipt.
      """)
  @Argument(help: "The id of an activation, or a receipt's file.") var what: String
  @Flag(help: "Print JSON: what was looked at, and the differences.") var json = false
  @Option(help: "The running supervisor's socket; instead of the file's supervisor.socket.") var socket: String?
  @OptionGroup var place: ReceiptPlace

  func run() throws {
    if !place.isPath(what), let differences = try living() { return try tell(differences, "sandbox \(what)") }
    let path = try place.path(of: what)
    try tell(ReceiptClaims.differences(try place.read(path)), "receipt \(path)")
  }

  /// Nil where no such sandbox lives.
  private func living() throws -> [Difference]? {
    let configuration = try place.configuration()
    let socket = socket ?? configuration.supervisor.socket
    guard access(socket, F_OK) == 0 else { return nil }
    guard geteuid() == 0 else {
      // Of one that is over the receipt is enough.
      if access("\(configuration.receiptsDirectory)/\(what).json", F_OK) == 0 { return nil }
      throw ValidationError("reading another user's sandbox needs root; run it as root")
    }
    let control = SupervisorControl(socket: socket)
    do {
      let inspection = try control.inspect(what)
      let differences = Result { try inspection.verify() }
      // What was read of a sandbox that ended meanwhile was perhaps somebody else's.
      guard try control.inspect(what).pid == inspection.pid else { return nil }
      return try differences.get()
    } catch is SupervisorControl.NotFound {
      return nil
    } catch let error as LinuxError where error.code == ECONNREFUSED {
      return nil
    }
  }

  private func tell(_ differences: [Difference], _ subject: String) throws {
    if json {
      let answer: JSONValue = [
        "subject": .string(subject), "same": .bool(differences.isEmpty),
        "differences": .array(differences.map(\.json)),
      ]
      print(try JSON.text(answer, pretty: true))
    } else if differences.isEmpty {
      print("\(subject): as it should be")
    } else {
      for difference in differences { print("\(difference)") }
    }
    if !differences.isEmpty { throw ExitCode(1) }
  }
}

/// Where receipts are.
struct ReceiptPlace: ParsableArguments {
  @Option(name: .shortAndLong, help: "The configuration file.") var config: String?
  @Option(help: "Directory of receipts; instead of the file's receipts.directory.") var receipts: String?

  /// A name with a slash, or one of a file that is here, is a path; an activation's id has neither.
  func isPath(_ what: String) -> Bool { what.contains("/") || access(what, F_OK) == 0 }

  /// The file of a receipt.
  func path(of what: String) throws -> String {
    if isPath(what) { return what }
    let path = "\(try configuration().receiptsDirectory)/\(what).json"
    if access(path, F_OK) == 0 { return path }
    throw missing("there is no receipt \(path), and no file of that name here")
  }

  func newest() throws -> String {
    let directory = try configuration().receiptsDirectory
    let names = ((try? files(in: directory)) ?? []).filter { $0.hasSuffix(".json") && !$0.hasPrefix(".") }
    let times = names.compactMap { name in
      var status = stat()
      return stat("\(directory)/\(name)", &status) == 0 ? (name, status.st_mtim.tv_sec, status.st_mtim.tv_nsec) : nil
    }
    guard let newest = times.max(by: { ($0.1, $0.2) < ($1.1, $1.2) }) else {
      throw missing("there are no receipts in \(directory); name a file, or the directory with --receipts")
    }
    return "\(directory)/\(newest.0)"
  }

  func read(_ path: String) throws -> JSONValue {
    do {
      return try JSONValue(parsing: try Descriptor.open(path).readAll(limit: 16 << 20))
    } catch let error as LinuxError where error.code == ENOENT {
      throw missing("there is no receipt \(path)")
    } catch let error as JSONError { throw ValidationError("\(path) is no receipt: \(error)") }
  }

  /// The file's settings, or the standard ones where there is no file.
  func configuration() throws -> Configuration {
    var configuration = try SettingsOptions.file(config, parts: ["supervisor", "receipts"])
    if let receipts { configuration.receiptsDirectory = receipts }
    return configuration
  }

  private func missing(_ sentence: String) -> ExitCode {
    complain(sentence)
    return ExitCode(2)
  }
}
