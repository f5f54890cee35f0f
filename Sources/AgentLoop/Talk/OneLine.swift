extension String {
  /// What others wrote, fit for one line of a log: no control characters, at most so many of the others.
  public func oneLine(limit: Int = 200) -> String {
    let clean = String(
      String.UnicodeScalarView(unicodeScalars.map { $0.properties.generalCategory == .control ? " " : $0 }))
    return clean.count > limit ? clean.prefix(limit) + "…" : clean
  }
}
