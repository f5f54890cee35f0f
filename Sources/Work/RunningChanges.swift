/// What became different between two looks at what runs.
public enum RunningChange: Sendable, Hashable {
  /// It was claimed since.
  case began(RunningActivation)
  /// It came to another step.
  case step(RunningActivation, from: ActivationStep?)
  /// It used more of its model.
  case tokens(RunningActivation)
  /// It runs no more; as it was at the last look.
  case ended(RunningActivation)
}

extension RunningList {
  /// What is different from an earlier look, the ends first. An activation that was given back and claimed again in between has
  /// ended and begun. Pure.
  public func changes(since earlier: RunningList) -> [RunningChange] {
    let before = Dictionary(earlier.activations.map { ($0.id, $0) }) { first, _ in first }
    let after = Dictionary(activations.map { ($0.id, $0) }) { first, _ in first }
    var changes = earlier.activations.filter { after[$0.id]?.claimed != $0.claimed }.map { RunningChange.ended($0) }
    for now in activations {
      guard let then = before[now.id], then.claimed == now.claimed else {
        changes.append(.began(now))
        continue
      }
      if now.step != then.step { changes.append(.step(now, from: then.step)) }
      if now.tokens != then.tokens || now.modelCalls != then.modelCalls { changes.append(.tokens(now)) }
    }
    return changes
  }
}
