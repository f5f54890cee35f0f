import Linux

extension Profile {
  /// What the profile asks for and can't be had, as the rest of "profile 'x' …"; nil where there is nothing. A sandbox that
  /// lacks what its profile says would be worse than none.
  /// - Parameter landlock: the kernel's ABI version; nil where it has none.
  func shortcoming(landlock version: Int? = KernelFeatures.landlockVersion) -> String? {
    if landlock == .required, version == nil {
      return """
        has 'landlock: required', and this kernel hasn't got it: boot with 'landlock' in the list of lsm=, or write \
        'landlock: best-effort'
        """
    }
    return nil
  }
}
