// Runs inside the machine that scripts/machine boots, as root and as its last unit; prints one line a check.

import Glibc
import Linux

if CommandLine.arguments.dropFirst().first == "inside" {
  exit(Inside.run(Array(CommandLine.arguments.dropFirst(2))))
}

var report = Report()
// The host says which boot this is.
let parameters = try text("/proc/cmdline").split(separator: " ").map(String.init)
if parameters.contains("botburrow.machine=no-landlock") {
  checkWithoutLandlock(&report)
} else {
  checkMachine(&report)
  checkMemory(&report)
  checkCPU(&report)
  checkProcesses(&report)
  checkIO(&report)
  checkReceipts(&report)
  checkDelegation(&report)
  checkRunner(&report)
  checkDoctor(&report)
  checkLandlock(&report)
  checkHostile(&report)
  // Last, for they end the supervisor that the others use.
  checkCrash(&report)
}
report.finish()
