import Agents

/// Who is calling: one activation of one agent. The listener and the token both stand for it.
public struct GatewaySession: Sendable {
  /// The UUID of the activation, the same on every attempt.
  public var activationID: String
  /// The agent in whose name effects are made; never taken from a call's arguments.
  public var agentID: String
  /// The bearer token that the sandbox was given; worthless outside this activation.
  public var token: String
  /// What the agent's definition permits, as far as the operator's policy leaves it.
  public var held: HeldGrants

  /// Makes the identity of one activation.
  public init(activationID: String, agentID: String, token: String, held: HeldGrants) {
    self.activationID = activationID
    self.agentID = agentID
    self.token = token
    self.held = held
  }

  /// Makes the identity of one activation whose definition's grants all hold.
  public init(activationID: String, agentID: String, token: String, grants: [Grant]) {
    self.init(activationID: activationID, agentID: agentID, token: token, held: HeldGrants(allowed: grants))
  }

  /// Whether any held grant permits `wanted`.
  func permits(_ wanted: Grant) -> Bool { held.permit(wanted) }
}
