/// The pages, made from the state alone.
enum Pages {
  /// Newest threads first.
  static func front(_ state: HubState, mayWrite: Bool) -> HTML {
    let form: HTML =
      mayWrite
      ? """
      <form class="card compose" method="post" action="/posts">
      <label for="content">New message</label>
      <textarea id="content" name="content" rows="3" required maxlength="\(PostRoutes.maxContent)" placeholder="\(hint(state))"></textarea>
      <button>Post</button>
      </form>
      """ : ""
    let threads = state.posts.suffix(100).reversed().map { threadLine($0, state) }
    let list: HTML =
      threads.isEmpty ? "<p class=\"empty\">No threads yet.</p>" : "<ul class=\"threads\">\(threads)</ul>"
    return layout(
      "Threads", current: "/",
      """
      <h1>Threads</h1>
      \(form)
      \(list)
      """)
  }

  private static func hint(_ state: HubState) -> String {
    let names = state.agents.keys.sorted().prefix(2).map { "@\($0)" }.joined(separator: " or ")
    return names.isEmpty ? "Write something" : "Mention \(names) to get an answer"
  }

  private static func threadLine(_ post: StoredPost, _ state: HubState) -> HTML {
    let comments = state.comments[post.id] ?? []
    let community: HTML = post.community.map { "<span class=\"tag\">\($0)</span>" } ?? ""
    let last: HTML = comments.last.map { "<span>last by \(name($0.author))</span>" } ?? ""
    return """
      <li class="card"><a class="thread" href="/posts/\(post.id)"><strong>\(headline(post))</strong>
      <span class="meta">\(avatar(post.author, state))<span>\(name(post.author))</span>\(community)\
      <span>\(moment(post.created_at))</span><span class="count">\(answers(comments.count))</span>\(last)</span></a></li>
      """
  }

  /// One post with its comments.
  static func thread(_ post: StoredPost, _ state: HubState, mayWrite: Bool) -> HTML {
    let comments = state.comments[post.id] ?? []
    let form: HTML =
      mayWrite
      ? """
      <form class="card compose" method="post" action="/posts/\(post.id)/comments">
      <label for="content">Your answer</label>
      <textarea id="content" name="content" rows="3" required maxlength="\(PostRoutes.maxContent)" placeholder="\(hint(state))"></textarea>
      <button>Answer</button>
      </form>
      """ : ""
    let title: HTML = post.title.map { "<h1>\($0)</h1>" } ?? "<h1 class=\"quiet\">Thread</h1>"
    return layout(
      headline(post), current: "/posts",
      """
      <p class="back"><a href="/">← All threads</a></p>
      \(title)
      \(message(post, state))
      <h2>\(answers(comments.count))</h2>
      \(comments.map { message($0, state) })
      \(form)
      """)
  }

  private static func message(_ post: StoredPost, _ state: HubState) -> HTML {
    let kind: HTML = state.agents[post.author.id] == nil ? "" : "<span class=\"tag\">agent</span>"
    return """
      <article class="card" id="\(post.id)">
      <p class="meta">\(avatar(post.author, state))<b>\(name(post.author))</b>\(kind)<span>\(moment(post.created_at))</span></p>
      <div class="text">\(withMentions(post.content, state))</div>
      </article>
      """
  }

  /// The agents and what they used.
  static func agents(_ state: HubState) -> HTML {
    let unread = state.unreadCounts()
    let uses = Dictionary(grouping: state.consumption, by: \.agent_id)
    let ids = Set(state.agents.keys).union(uses.keys).sorted()
    let rows: [HTML] = ids.map { id in
      let totals = Totals(uses[id] ?? [])
      let agent = state.agents[id]
      let under: HTML = agent?.name == nil ? "" : "<small>\(id)</small>"
      let last: HTML = agent?.last_activated_at.map { "\(moment($0))" } ?? "never"
      return """
        <tr id="\(id)"><th scope="row">\(agent?.name ?? id)\(under)</th>
        <td data-label="Last activated">\(last)</td>
        <td data-label="Unread" class="number">\(unread[id, default: 0])</td>
        <td data-label="Activations" class="number">\(totals.activations)</td>
        <td data-label="Tokens in" class="number">\(grouped(totals.input))</td>
        <td data-label="Tokens out" class="number">\(grouped(totals.output))</td>
        <td data-label="Cost" class="number">\(dollars(totals.cost))</td></tr>
        """
    }
    let table: HTML =
      rows.isEmpty
      ? "<p class=\"empty\">No agents yet.</p>"
      : """
      <table class="card"><thead><tr><th>Agent</th><th>Last activated</th><th class="number">Unread</th>
      <th class="number">Activations</th><th class="number">Tokens in</th><th class="number">Tokens out</th>
      <th class="number">Cost</th></tr></thead><tbody>\(rows)</tbody></table>
      """
    return layout(
      "Agents", current: "/agents",
      """
      <h1>Agents</h1>
      \(table)
      """)
  }

  /// For an id that no post has.
  static func missing(_ id: String) -> HTML {
    layout(
      "Not found", current: "/posts",
      "<h1>Not found</h1><p class=\"empty\">There is no post ‘\(id)’. <a href=\"/\">All threads</a></p>")
  }

  // MARK: Parts

  private static func layout(_ title: String, current: String, _ body: HTML) -> HTML {
    func link(_ path: String, _ label: String) -> HTML {
      path == current ? "<a href=\"\(path)\" aria-current=\"page\">\(label)</a>" : "<a href=\"\(path)\">\(label)</a>"
    }
    return """
      <!doctype html>
      <html lang="en"><head><meta charset="utf-8"><title>\(title) · Botburrow Hub</title>
      <meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark">
      <link rel="stylesheet" href="/style.css"></head>
      <body><header><nav><span class="brand">Botburrow Hub</span>\(link("/", "Threads"))\(link("/agents", "Agents"))</nav></header>
      <main>
      \(body)
      </main></body></html>
      """
  }

  private static func name(_ author: Author) -> String { author.name ?? author.id }

  /// The first letter of the name on a colour that follows from the id.
  private static func avatar(_ author: Author, _ state: HubState) -> HTML {
    let colour = author.id.utf8.reduce(7) { ($0 &* 31 &+ Int($1)) & 0xFFFF } % 6
    return
      "<span class=\"avatar c\(colour)\" aria-hidden=\"true\">\(String(name(author).prefix(1)).uppercased())</span>"
  }

  private static func headline(_ post: StoredPost) -> String {
    let line = post.title ?? post.content.split(whereSeparator: \.isNewline).first.map(String.init) ?? ""
    return line.count > 120 ? line.prefix(120) + "…" : line
  }

  private static func answers(_ count: Int) -> String { count == 1 ? "1 answer" : "\(count) answers" }

  /// The text with the names of known agents marked.
  static func withMentions(_ text: String, _ state: HubState) -> HTML {
    let mentioned = Set(Mentions.names(in: text))
    var parts: [HTML] = []
    var rest = text[...]
    while let at = rest.firstIndex(of: "@") {
      parts.append("\(rest[..<at])")
      rest = rest[at...].dropFirst()
      var word = rest.prefix { $0.isLetter || $0.isNumber || "-_.".contains($0) }
      while let last = word.last, !(last.isLetter || last.isNumber) { word = word.dropLast() }
      if mentioned.contains(word.lowercased()), let agent = state.agent(mentionedAs: word.lowercased()) {
        parts.append("<a class=\"mention\" href=\"/agents#\(agent.id)\">@\(word)</a>")
        rest = rest.dropFirst(word.count)
      } else {
        parts.append("@")
      }
    }
    return HTML(parts + ["\(rest)"])
  }

  /// `2026-01-31T12:00:00.250Z` → `31 Jan 2026, 12:00 UTC`.
  private static func moment(_ text: String) -> HTML {
    let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
    let parts = text.split(whereSeparator: { "-T:".contains($0) })
    guard parts.count >= 5, let month = Int(parts[1]), 1...12 ~= month, let day = Int(parts[2]) else {
      return "\(text)"
    }
    return """
      <time datetime="\(text)">\(day) \(months[month - 1]) \(parts[0]), \(parts[3]):\(parts[4]) UTC</time>
      """
  }

  /// 1234567 → `1 234 567`, with narrow no-break spaces.
  private static func grouped(_ number: Int) -> String {
    var grouped = ""
    for (index, digit) in String(number).reversed().enumerated() {
      if index > 0, index % 3 == 0 { grouped.append("\u{202F}") }
      grouped.append(digit)
    }
    return String(grouped.reversed())
  }

  private static func dollars(_ amount: Double) -> String {
    let cents = (amount * 10_000).rounded()
    guard cents < 1e15 else { return "$\(amount)" }
    let whole = Int(cents)
    return "$\(grouped(whole / 10_000)).\(String(whole % 10_000 + 10_000).dropFirst())"
  }
}
