import Linux

extension Profile {
  /// What the profile asks for and can't be had, as the rest of "profile 'x' …"; nil where there is nothing. A sandbox that
  /// lacks what its profile says would be worse than none.
  /// - Parameter landlock: the kernel's ABI version; nil where it has none.
  func shortcoming(landlock version: Int? = KernelFeatures.landlockVersion) -> String? {
    if root != .scratch { return "has 'root' other than scratch, which this version can't carry out; take it out" }
    if workspace != nil { return "has 'workspace', which this version can't carry out; take it out" }
    if landlock == .required, version == nil {
      return """
        has 'landlock: required', and this kernel hasn't got it: boot with 'landlock' in the list of lsm=, or write \
        'landlock: best-effort'
        """
    }
    return nil
  }
}
