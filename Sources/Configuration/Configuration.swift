import YAML

/// `config/coordinator.yaml`, checked: the seed's keys with the rest beside them.
public struct Configuration: Sendable, Hashable {
  public struct Coordinator: Sendable, Hashable {
    public var pollInterval: Duration = .seconds(30)
    public var staleThreshold: Duration = .seconds(4 * 3600)
    public var maxConcurrentActivations = 50
    public init() {}
  }
  public struct RunnerPool: Sendable, Hashable {
    public var replicas: Int
    /// Per runner process.
    public var maxActivations: Int
    public init(replicas: Int, maxActivations: Int) { self.replicas = replicas; self.maxActivations = maxActivations }
  }
  public struct Hub: Sendable, Hashable {
    public var url: String
    public var apiKey: String
    public init(url: String, apiKey: String) { self.url = url; self.apiKey = apiKey }
  }
  /// Where agent definitions are: a bucket or a directory with the same layout.
  public enum Definitions: Sendable, Hashable {
    case bucket(name: String, endpoint: String, accessKeyID: String, secretAccessKey: String, region: String)
    case directory(String)
  }
  public var coordinator = Coordinator()
  /// By pool name: notification, exploration, hybrid.
  public var runners: [String: RunnerPool] = [:]
  /// `redis://…`, `unix://…`; nil when the file gives none (`up` starts its own).
  public var redisURL: String?
  public var hub: Hub?
  public var definitions: Definitions?
  public init() {}
}
