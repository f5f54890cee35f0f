extension Profile {
  /// What the profile asks for and this build can't do, in words; nil where it can do all of it. A sandbox that lacks
  /// what its profile says would be worse than none.
  var notCarriedOut: String? {
    if root != .scratch { return "'root' other than scratch" }
    if workspace != nil { return "'workspace'" }
    return nil
  }
}
