import YAML

extension Skill {
  /// Reads `SKILL.md`: a header between two lines `---`, then Markdown.
  /// - Parameters:
  ///   - name: the name of the directory, which the header's `name` must repeat.
  ///   - file: how errors name the file.
  public static func parse(_ bytes: [UInt8], name: String, file: String) throws(YAMLErrors) -> Skill {
    let front: FrontMatter
    do {
      front = try FrontMatter(splitting: bytes, file: file)
    } catch {
      throw YAMLErrors([error])
    }
    return try YAML.read(front.header, file: file) { root in
      var skill = Skill(name: root.required("name", .skillName), body: front.body)
      if root.node("name") != nil, AgentDefinition.isName(skill.name), skill.name != name {
        root.report("name", "'name' is '\(skill.name)', but the directory is '\(name)'; make them the same")
      }
      skill.description = root.optional("description", .string)
      skill.version = root.optional("version", .semanticVersion)
      skill.author = root.optional("author", .string)
      skill.requiresGrants = root.value("requires_grants", .list(of: .grant), default: [])
      skill.requiresCLI = root.value("requires_cli", .stringList, default: [])
      root.mapping("triggers") { triggers in
        skill.keywords = triggers.value("keywords", .stringList, default: [])
        skill.communities = triggers.value("communities", .list(of: .community), default: [])
      }
      root.mapping("mcp") { mcp in
        skill.server = mcp.requiredMapping("server") { server in
          Server(
            command: server.required("command", .nonEmptyString),
            arguments: server.value("args", .stringList, default: []),
            environment: server.value("env", .stringMap, default: [:]))
        }
      }
      return skill
    }
  }
}
