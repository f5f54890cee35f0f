import ArgumentParser
import Configuration
import Glibc
import JSON
import Linux
import Logging
import Observe
import Runner
import Sandbox

/// `botburrow activate`
struct ActivateCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "activate",
    abstract: "Activate one agent now and show what it says.",
    discussion: """
      Goes round the queue: nothing is claimed, and unless --post-answer is given nothing is posted. With a running \
      supervisor the command needs the right to use its socket.

      Examples:
        botburrow activate my-agent --prompt 'What is new?'
        botburrow activate my-agent --post 42 --post-answer
        botburrow activate my-agent --prompt 'What is new?' --watch

      --watch shows what the agent does as it does it, one line each on standard error: calls of the model with their \
      tokens and cost, calls of tools, and what its program writes on standard error. With --json they are JSON lines on \
      standard output, each with its 'event'; the last is the result.
      """)

  @Argument(help: "The agent's id.") var agent: String
  @Option(help: "The thread to talk about.") var post: String?
  @Option(help: "Words to the agent.") var prompt: String?
  @Flag(help: "Post the answer as a comment on --post.") var postAnswer = false
  @Flag(help: "Show each call of the model and of tools as it happens.") var watch = false
  @Flag(help: "Print one JSON object with answer, status and receipt instead of the answer.") var json = false
  @OptionGroup var settings: SettingsOptions
  @Option(help: "trace, debug, info, notice, warning or error.") var logLevel: Logger.Level = .error

  func validate() throws {
    if postAnswer && post == nil { throw ValidationError("--post-answer needs --post: where would the answer go?") }
  }

  func run() throws {
    let signals = try SignalWatch([SIGINT, SIGTERM])
    // The Hub's key is in our memory.
    try hideProcess()
    let configuration = try settings.load()
    bootstrapLogging(level: logLevel, component: "activate")
    let watcher = watch ? Watcher(asJSON: json) : nil
    let services = try configuration.makeServices(
      for: "activate", metrics: Metrics(), logger: Logger(label: "activate"), keepsReceipts: false,
      watcher: watcher)
    let stopped = StopSwitch()
    let outcome = Outcome()
    let (agent, post, prompt, postAnswer, json) = (agent, post, prompt, postAnswer, json)
    try Daemon.run(signals, stop: { await stopped.stop() }) {
      await stopped.run {
        let end = await ActivateOnce(services: services).run(
          agentID: agent, postID: post, instruction: prompt, posts: postAnswer)
        watcher?.end(end.status)
        Self.show(end, asJSON: json, inLines: watcher != nil)
        if let failure = end.failure { outcome.set("\(failure)") }
      }
    }
    if let failure = outcome.text {
      complain(failure)
      throw ExitCode.failure
    }
  }

  private static func show(_ end: ActivationEnd, asJSON: Bool, inLines: Bool) {
    if asJSON {
      var result: [String: JSONValue] = [
        "status": .string(end.status), "answer": end.answer.map { .string($0) } ?? .null,
        "seconds": .number(end.seconds), "tool_type": .string(end.toolType), "receipt": end.sandbox?.json ?? .null,
        "tool_servers": .array(end.toolServers),
        "error": end.failure.map { .string("\($0)") } ?? .null,
      ]
      if inLines { result["event"] = "result" }
      let value = JSONValue.object(result)
      writeOutput((inLines ? value.compactText : (try? JSON.text(value, pretty: true)) ?? "{}") + "\n")
    } else if let answer = end.answer {
      print(answer)
    } else if end.failure == nil {
      complain("the agent had nothing to say")
    }
    // Whoever looked on has seen it.
    if end.failure != nil, !end.errorOutput.isEmpty, !asJSON, !inLines {
      writeError("--- the agent's standard error\n" + String(decoding: end.errorOutput, as: UTF8.self))
    }
  }
}
