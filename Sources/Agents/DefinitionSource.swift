import YAML

/// Where definitions come from: a bucket or a directory with the same layout.
public protocol DefinitionSource: Sendable {
  /// Ids of all agents, sorted. `DefinitionError` where they can't be listed.
  func list() async throws -> [String]
  /// The same ids in no order, at most a thousand at a time: what a million agents can be counted through without holding them.
  /// `DefinitionError` where they can't be listed; else what `visit` throws.
  func walk(_ visit: ([String]) async throws -> Void) async throws
  /// One agent with its system prompt and skills. `DefinitionError` where it isn't there or isn't right.
  func load(_ agentID: String) async throws -> LoadedAgent
  /// The same where one of the files that it was made of has changed since `known` (`LoadedAgent.files`); nil where none has, and
  /// then nothing was read.
  func load(_ agentID: String, unless known: [DefinitionFile]) async throws -> LoadedAgent?
  /// What is kept of this agent, or of all where it is nil, may be old: the next `load` finds out.
  func invalidate(_ agentID: String?)
}

extension DefinitionSource {
  /// For sources that can't tell: always the agent.
  public func load(_ agentID: String, unless known: [DefinitionFile]) async throws -> LoadedAgent? {
    try await load(agentID)
  }
  /// For sources that keep nothing.
  public func invalidate(_ agentID: String?) {}
  /// The list in parts, for sources that hold it anyway.
  public func walk(_ visit: ([String]) async throws -> Void) async throws {
    let all = try await list()
    for start in stride(from: 0, to: all.count, by: 1000) {
      try await visit(Array(all[start..<min(start + 1000, all.count)]))
    }
  }
}

/// A definition that can't be had, in words that say what to do.
public enum DefinitionError: Error, Sendable, Hashable, CustomStringConvertible {
  /// No such agent: its id and where it was looked for.
  case noSuchAgent(id: String, place: String)
  /// The id can't be one.
  case badID(String)
  /// A skill that an agent names isn't there.
  case noSuchSkill(name: String, agentID: String, place: String)
  /// A file was read and is wrong.
  case invalid(YAMLErrors)
  /// A file that must be text isn't.
  case notText(file: String)
  /// A file is larger than definitions may be.
  case tooLarge(file: String, limit: Int)
  /// A file or directory could not be read: which, and `errno` in words.
  case unreadable(path: String, reason: String)
  /// The bucket refused or failed: bucket, key (or prefix), the status or failure, and what to do.
  case bucket(name: String, key: String, problem: String, hint: String)

  /// One sentence, or one line for each thing that is wrong.
  public var description: String {
    switch self {
    case .noSuchAgent(let id, let place):
      "there is no agent '\(id)': \(place) has no agents/\(id)/config.yaml"
    case .badID(let id): "'\(id)' can't be an agent's id: it must be 3 to 50 lower-case letters, digits and hyphens"
    case .noSuchSkill(let name, let agentID, let place):
      "agent '\(agentID)' names skill '\(name)', but \(place) has no skills/\(name)/SKILL.md; add it or take it off the list"
    case .invalid(let errors): errors.description
    case .notText(let file): "\(file) is not UTF-8 text"
    case .tooLarge(let file, let limit): "\(file) is larger than \(limit) bytes"
    case .unreadable(let path, let reason): "\(path) can't be read: \(reason)"
    case .bucket(let name, let key, let problem, let hint): "bucket '\(name)', key '\(key)': \(problem); \(hint)"
    }
  }

  /// The largest definition, prompt or skill that is read.
  package static let fileLimit = 1 << 20
}

/// What a directory and a bucket have in common: files by their path in the layout.
package protocol DefinitionFiles: Sendable {
  /// What errors call the whole: a directory's path, a bucket's name.
  var place: String { get }
  /// Names of the directories under `agents/`, at most a thousand at a time, in no order.
  func eachAgentNames(_ visit: ([String]) async throws -> Void) async throws
  /// A file's bytes, unless it still has that version. `path` consists of checked parts.
  func read(_ path: String, unless version: DefinitionFile.Version?) async throws -> FileReading
  /// How errors name a file.
  func name(_ path: String) -> String
}

extension DefinitionFiles {
  package func listAgents() async throws -> [String] {
    var all: [String] = []
    try await walkAgents { all += $0 }
    return all.sorted()
  }

  package func walkAgents(_ visit: ([String]) async throws -> Void) async throws {
    try await eachAgentNames { names in
      let ids = names.filter(AgentDefinition.isID)
      if !ids.isEmpty { try await visit(ids) }
    }
  }

  package func loadAgent(_ id: String, unless known: [DefinitionFile]) async throws -> LoadedAgent? {
    guard AgentDefinition.isID(id) else { throw DefinitionError.badID(id) }
    if !known.isEmpty, try await areUnchanged(known) { return nil }
    return try await loadAgent(id)
  }

  private func areUnchanged(_ files: [DefinitionFile]) async throws -> Bool {
    for file in files {
      switch (file.version, try await read(file.path, unless: file.version)) {
      case (.absent, .absent), (.tag, .unchanged): continue
      default: return false
      }
    }
    return true
  }

  package func loadAgent(_ id: String) async throws -> LoadedAgent {
    guard AgentDefinition.isID(id) else { throw DefinitionError.badID(id) }
    var files: [DefinitionFile] = []
    let path = "agents/\(id)/config.yaml"
    guard let bytes = try await bytes(path, &files) else { throw DefinitionError.noSuchAgent(id: id, place: place) }
    let definition = try invalid { () throws(YAMLErrors) in
      try AgentDefinition.parse(bytes, id: id, file: name(path))
    }
    let prompt = try await text("agents/\(id)/system-prompt.md", &files) ?? ""
    var skills: [Skill] = []
    for skill in definition.skills { skills.append(try await loadSkill(skill, for: id, &files)) }
    var agent = LoadedAgent(definition: definition, systemPrompt: prompt, skills: skills, file: name(path))
    agent.files = files
    return agent
  }

  /// `name` is one of a checked definition's.
  private func loadSkill(_ skill: String, for agentID: String, _ files: inout [DefinitionFile]) async throws -> Skill {
    let path = "skills/\(skill)/SKILL.md"
    guard let bytes = try await bytes(path, &files) else {
      throw DefinitionError.noSuchSkill(name: skill, agentID: agentID, place: place)
    }
    return try invalid { () throws(YAMLErrors) in try Skill.parse(bytes, name: skill, file: name(path)) }
  }

  private func text(_ path: String, _ files: inout [DefinitionFile]) async throws -> String? {
    guard let bytes = try await bytes(path, &files) else { return nil }
    guard let text = String(validating: bytes, as: UTF8.self) else { throw DefinitionError.notText(file: name(path)) }
    return text
  }

  /// A file's bytes; nil where there is none. Notes which version that was.
  private func bytes(_ path: String, _ files: inout [DefinitionFile]) async throws -> [UInt8]? {
    guard case .read(let bytes, let version) = try await read(path, unless: nil) else {
      files.append(DefinitionFile(path: path, version: .absent))
      return nil
    }
    files.append(DefinitionFile(path: path, version: version))
    return bytes
  }

  private func invalid<Value>(_ body: () throws(YAMLErrors) -> Value) throws(DefinitionError) -> Value {
    do {
      return try body()
    } catch {
      throw .invalid(error)
    }
  }
}
