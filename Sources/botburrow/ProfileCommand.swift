import ArgumentParser

/// `botburrow profile …`
struct ProfileCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "profile", abstract: "Look at sandbox profiles.",
    subcommands: [ProfileLearn.self, ProfileLearnChild.self])
}
