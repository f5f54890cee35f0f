import ArgumentParser
import Glibc
import JSON
import Linux
import Sandbox

/// `botburrow sandbox list`
struct SandboxList: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "list",
    abstract: "List the sandboxes of a running supervisor: root sees all, others those that they started.")
  @Option(help: "The running supervisor's socket.") var socket = Places.socket
  @Flag(help: "Print JSON instead of a table.") var json = false

  func run() throws {
    let listed = try SupervisorControl(socket: socket).list()
    if json { return print(try JSON.text(JSONValue.array(listed.map(\.json)), pretty: true)) }
    let now = Int64(time(nil))
    var rows = [["ACTIVATION", "PROFILE", "STATE", "PID", "USER", "AGE"]]
    for sandbox in listed {
      rows.append([
        sandbox.activationID, sandbox.profile, sandbox.state, sandbox.pid.map { "\($0)" } ?? "-", "\(sandbox.user)",
        "\(max(0, now - sandbox.startedAt)) s",
      ])
    }
    print(Self.table(rows), terminator: "")
  }

  private static func table(_ rows: [[String]]) -> String {
    let widths = (rows.first ?? []).indices.map { column in rows.map { $0[column].count }.max() ?? 0 }
    return rows.map { row in
      let cells = row.enumerated().map { column, cell in
        column == row.count - 1 ? cell : cell + String(repeating: " ", count: widths[column] - cell.count + 2)
      }
      return cells.joined() + "\n"
    }.joined()
  }
}

/// `botburrow sandbox freeze`
struct SandboxFreeze: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "freeze",
    abstract: "Stop every process of a sandbox where it is, until it is thawed.",
    discussion: """
      To look at a sandbox, or to give the host's cores to others. It returns when all stand still. Memory stays taken, \
      connections stay open, and the wall-clock timeout keeps running: a frozen sandbox is ended at its time like any \
      other, and so it is when its client hangs up.

      Root may freeze every sandbox, others those that they started. Exit code: 0; 1 where it can't be; 2 where there is \
      no such sandbox.
      """)
  @OptionGroup var target: SandboxTarget
  func run() throws { try target.freeze(true) }
}

/// `botburrow sandbox thaw`
struct SandboxThaw: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "thaw", abstract: "Let a frozen sandbox go on.",
    discussion: "The same users may, with the same exit codes, as with 'freeze'. One that isn't frozen is no error.")
  @OptionGroup var target: SandboxTarget
  func run() throws { try target.freeze(false) }
}

/// Which sandbox, and where.
struct SandboxTarget: ParsableArguments {
  @Argument(help: "The activation's id; see 'botburrow sandbox list'.") var activation: String
  @Option(help: "The running supervisor's socket.") var socket = Places.socket
  @Flag(help: "Print JSON instead of a sentence.") var json = false

  func freeze(_ frozen: Bool) throws {
    do { try SupervisorControl(socket: socket).freeze(activation, frozen) } catch {
      complain("\(error)")
      throw ExitCode(error is SupervisorControl.NotFound ? 2 : 1)
    }
    let state = frozen ? "frozen" : "running"
    if json {
      print(try JSON.text(["activation_id": .string(activation), "state": .string(state)] as JSONValue))
    } else {
      print("\(activation) is \(state)")
    }
  }
}
