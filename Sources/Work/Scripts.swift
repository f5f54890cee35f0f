import Redis

/// The work scripts, each with `common.lua` before it.
enum Scripts {
  static let claim = script(PackageResources.claim_lua, .endsWork)
  static let beat = script(PackageResources.beat_lua, .endsWork)
  static let finish = script(PackageResources.finish_lua, .endsWork)
  static let recover = script(PackageResources.recover_lua, .endsWork)
  static let enqueue = script(PackageResources.enqueue_lua)
  static let lead = script(PackageResources.lead_lua, .endsWork)
  static let schedule = script(PackageResources.schedule_lua)
  static let unscheduled = script(PackageResources.unscheduled_lua, .readsOnly)
  static let takeDue = script(PackageResources.take_due_lua)
  static let upcoming = script(PackageResources.upcoming_lua, .readsOnly)
  static let status = script(PackageResources.status_lua, .readsOnly)
  static let dead = script(PackageResources.dead_lua, .readsOnly)
  static let pause = script(PackageResources.pause_lua, .endsWork)
  static let list = script(PackageResources.list_lua, .readsOnly)
  static let show = script(PackageResources.show_lua, .readsOnly)
  static let replay = script(PackageResources.replay_lua, .endsWork)
  static let said = script(PackageResources.said_lua, .readsOnly)
  static let reject = script(PackageResources.reject_lua, .endsWork)
  static let endRest = script(PackageResources.end_rest_lua, .endsWork)
  static let purge = script(PackageResources.purge_lua, .endsWork)
  static let notificationStates = script(PackageResources.notification_states_lua, .endsWork)
  static let outboxBegin = script(PackageResources.outbox_begin_lua, .readsOnly)
  static let outboxStore = script(PackageResources.outbox_store_lua, .endsWork)
  static let outboxClaim = script(PackageResources.outbox_claim_lua, .endsWork)
  static let outboxStep = script(PackageResources.outbox_step_lua, .endsWork)
  static let outboxEnd = script(PackageResources.outbox_end_lua, .endsWork)
  static let effect = script(PackageResources.effect_lua, .endsWork)
  static let runningCounts = script(PackageResources.running_counts_lua, .readsOnly)
  static let invalidate = script(PackageResources.invalidate_lua, .endsWork)
  static let runnerBeat = script(PackageResources.runner_beat_lua, .endsWork)
  static let runnerGone = script(PackageResources.runner_gone_lua, .endsWork)
  static let runners = script(PackageResources.runners_lua, .readsOnly)
  static let running = script(PackageResources.running_lua, .readsOnly)
  static let alerts = script(PackageResources.alerts_lua, .endsWork)

  /// What the server does with a script while its memory is full (`maxmemory`).
  enum WhenFull: String {
    /// It brings work: refused whole, before its first command, with OOM.
    case bringsWork = "#!lua"
    /// It ends work, or keeps what runs going: carried out whole, for it is what makes room again.
    case endsWork = "#!lua flags=allow-oom"
    /// It writes nothing, and fails where it tries to.
    case readsOnly = "#!lua flags=no-writes"
  }

  private static func script(_ body: [UInt8], _ whenFull: WhenFull = .bringsWork) -> RedisScript {
    RedisScript(Array("\(whenFull.rawValue)\n".utf8) + PackageResources.common_lua + body)
  }
}
