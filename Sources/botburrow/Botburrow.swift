import ArgumentParser

/// `botburrow`: one file a subcommand, no logic of their own.
@main
struct Botburrow: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "botburrow",
    abstract: "Runs autonomous agents in sandboxes that hold nothing but their work.",
    discussion: """
      Try it:          botburrow up --hub-open
      One activation:  botburrow activate my-agent --prompt 'Say hello'
      What runs now:   botburrow activations --follow
      One sandbox:     botburrow sandbox run --profile default -- id
      What is missing: botburrow doctor
      """,
    version: "0.1.0",
    subcommands: [
      UpCommand.self, ActivateCommand.self, SandboxCommand.self, ReceiptCommand.self, ProfileCommand.self,
      DoctorCommand.self, ConfigCommand.self,
      AgentsCommand.self,
      CoordinatorCommand.self,
      RunnerCommand.self, QueueCommand.self, RunnersCommand.self, ActivationsCommand.self, SupervisorCommand.self,
      HubCommand.self,
    ])
}
