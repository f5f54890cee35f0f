extension RedisError {
  /// What an operator does about a command that the server refused; nil where its own words say it all.
  var advice: String? {
    guard case .refused(let code) = kind else { return nil }
    // Inside a script it comes with another code, in Redis's words and in Valkey's.
    if code == "NOPERM" || reason.contains("user executing the script can't")
      || reason.contains("ACL failure in script")
    {
      return "its ACL user needs \(RedisURL.neededRules)"
    }
    switch code {
    case "NOAUTH": return "give a password in redis.url, as redis://user:password@host or redis://:password@host"
    case "OOM":
      return "its memory is full (maxmemory); what runs goes on and ends, new work waits where it is: "
        + "raise maxmemory, or throw away what isn't needed"
    case "MISCONF": return "it can't write to its disk: make room there, and look into its log"
    case "NOREPLICAS": return "fewer replicas follow it than min-replicas-to-write demands"
    case "READONLY": return "it is a replica now: the primary is looked for again"
    case "LOADING": return "it reads its data after a start; this passes"
    case "MASTERDOWN": return "it is a replica whose primary is away"
    case "MOVED", "ASK", "CROSSSLOT", "CLUSTERDOWN": return RedisURL.noCluster
    default: return nil
    }
  }
}

extension RedisURL {
  /// The least that an ACL user of this program needs, as `ACL SETUSER` takes it.
  public static let neededRules =
    "~runner:* ~coordinator:* ~botburrow:* &botburrow:* +@read +@write +@scripting +@connection +@pubsub +time -@dangerous +info"
  /// The least that an ACL user needs at a sentinel.
  static let neededSentinelRules = "+@connection +sentinel|get-master-addr-by-name"
  static let noCluster =
    "Redis Cluster is not supported, because the work lists share no hash slot: give the URL of one primary"
}
