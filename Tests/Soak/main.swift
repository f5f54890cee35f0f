// Thousands of sandboxes, and thousands of deaths: at every step that has a name, and at random instants. Afterwards nothing
// may be left, counted from outside. Prints a table and `soak: sandboxes N, kills N, left N`; the exit code is 1 where
// something was left or hung.

import Glibc
import Linux

if CommandLine.arguments.dropFirst().first == "client" { exit(try runClient(CommandLine.arguments.dropFirst(2))) }

let options: Options
do { options = try Options(CommandLine.arguments.dropFirst()) } catch {
  writeText(STDERR_FILENO, "\(error)\n")
  exit(2)
}
do {
  let world = try World()
  var tally = Tally()
  do {
    try writeProfiles(world, options)
    if !options.isOneBuild { try checkRelease(options) }
    if options.parts.contains(.row) { try soakRow(world, options, &tally) }
    if options.parts.contains(.points) { try soakPoints(world, options, &tally) }
    if options.parts.contains(.random) { try soakRandom(world, options, &tally) }
  } catch { tally.leave("soak", ["it ended early: \(error)"]) }
  do { try world.end() } catch { tally.leave("soak", ["\(error)"]) }
  progress("")
  tally.print()
  exit(tally.left.isEmpty ? 0 : 1)
} catch {
  writeText(STDERR_FILENO, "botburrow-soak: \(error)\n")
  exit(2)
}

/// The profile of everything here: the default one with a small persistent workspace.
func writeProfiles(_ world: World, _ options: Options) throws {
  let base = try Descriptor.open(options.profiles + "/default.yaml").readAll(limit: 1 << 20)
  let own = "description: The soak's\nextends: default\nworkspace: { path: /work, size: 8M }\n"
  for (name, bytes) in [("default", base), ("soak", Array(own.utf8))] {
    try Descriptor.open("\(world.directory)/profiles/\(name).yaml", O_WRONLY | O_CREAT).write(bytes)
  }
}

/// Fault injection must not be in what is shipped: neither its variable nor a step's name.
func checkRelease(_ options: Options) throws {
  for name in ["BOTBURROW_FAULTS", "leave the old root", "fault point: "] {
    func contains(_ directory: String) throws -> Bool {
      let bytes = try Descriptor.open(directory + "/botburrow").readAll(limit: 1 << 30)
      return bytes.withUnsafeBytes { find(Array(name.utf8), in: $0) }
    }
    // The control: the debug build has it, so that this looks for the right thing.
    if try !contains(options.debug) {
      throw SoakError("\(options.debug)/botburrow is no debug build: '\(name)' isn't in it")
    }
    if try contains(options.release) { throw SoakError("\(options.release)/botburrow has '\(name)' in it") }
  }
}

/// Whether these bytes stand somewhere in those.
func find(_ wanted: [UInt8], in bytes: UnsafeRawBufferPointer) -> Bool {
  guard var place = bytes.baseAddress, let first = wanted.first else { return false }
  let end = place + bytes.count
  while let next = memchr(place, Int32(first), end - place) {
    if end - UnsafeRawPointer(next) < wanted.count { return false }
    if memcmp(next, wanted, wanted.count) == 0 { return true }
    place = UnsafeRawPointer(next) + 1
  }
  return false
}
