/// Recognises what an agent wrote in what the Hub gives back.
public enum OwnWords {
  /// A text without what a Hub may change of it: leading, trailing and repeated spaces and line ends.
  public static func plain(_ text: String) -> String {
    text.split { $0.isWhitespace }.joined(separator: " ")
  }

  /// The comments of a thread that `agentID` wrote with these words, oldest first.
  public static func comments(in thread: Post, by agentID: String, saying text: String) -> [Post] {
    let wanted = plain(text)
    return (thread.comments ?? []).filter { $0.author?.id == agentID && plain($0.content) == wanted }
  }
}
