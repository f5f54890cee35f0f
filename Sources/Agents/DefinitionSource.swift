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
}

extension DefinitionSource {
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
  /// A file's bytes; nil where there is none. `path` consists of checked parts.
  func read(_ path: String) async throws -> [UInt8]?
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

  package func loadAgent(_ id: String) async throws -> LoadedAgent {
    guard AgentDefinition.isID(id) else { throw DefinitionError.badID(id) }
    let path = "agents/\(id)/config.yaml"
    guard let bytes = try await read(path) else { throw DefinitionError.noSuchAgent(id: id, place: place) }
    let definition = try invalid { () throws(YAMLErrors) in
      try AgentDefinition.parse(bytes, id: id, file: name(path))
    }
    let prompt = try await text("agents/\(id)/system-prompt.md") ?? ""
    var skills: [Skill] = []
    for skill in definition.skills { skills.append(try await loadSkill(skill, for: id)) }
    return LoadedAgent(definition: definition, systemPrompt: prompt, skills: skills, file: name(path))
  }

  /// `name` is one of a checked definition's.
  private func loadSkill(_ skill: String, for agentID: String) async throws -> Skill {
    let path = "skills/\(skill)/SKILL.md"
    guard let bytes = try await read(path) else {
      throw DefinitionError.noSuchSkill(name: skill, agentID: agentID, place: place)
    }
    return try invalid { () throws(YAMLErrors) in try Skill.parse(bytes, name: skill, file: name(path)) }
  }

  private func text(_ path: String) async throws -> String? {
    guard let bytes = try await read(path) else { return nil }
    guard let text = String(validating: bytes, as: UTF8.self) else { throw DefinitionError.notText(file: name(path)) }
    return text
  }

  private func invalid<Value>(_ body: () throws(YAMLErrors) -> Value) throws(DefinitionError) -> Value {
    do {
      return try body()
    } catch {
      throw .invalid(error)
    }
  }
}
