import Logging

/// Labels and value of one Prometheus series are added through these; see docs/configuration.md for the names.
public final class Metrics: Sendable {
  public init() {}
  /// Adds to a counter. `name` as exposed (`botburrow_activations_total`).
  public func increment(_ name: String, _ labels: [(String, String)] = [], by amount: Double = 1) {}
  /// Sets a gauge.
  public func set(_ name: String, _ labels: [(String, String)] = [], to value: Double) {}
  /// Records into a histogram (seconds).
  public func observe(_ name: String, _ labels: [(String, String)] = [], _ value: Double) {}
  /// The text exposition format 0.0.4, with HELP and TYPE lines.
  public func exposition() -> String { "" }
}

/// Starts JSON-lines logging on standard error for the whole process.
public func bootstrapLogging(level: Logger.Level, component: String) {}
