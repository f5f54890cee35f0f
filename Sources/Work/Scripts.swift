import Redis

/// The work scripts, each with `common.lua` before it.
enum Scripts {
  static let claim = script(PackageResources.claim_lua)
  static let beat = script(PackageResources.beat_lua)
  static let finish = script(PackageResources.finish_lua)
  static let recover = script(PackageResources.recover_lua)
  static let enqueue = script(PackageResources.enqueue_lua)
  static let lead = script(PackageResources.lead_lua)
  static let schedule = script(PackageResources.schedule_lua)
  static let unscheduled = script(PackageResources.unscheduled_lua)
  static let takeDue = script(PackageResources.take_due_lua)
  static let upcoming = script(PackageResources.upcoming_lua)
  static let status = script(PackageResources.status_lua)
  static let dead = script(PackageResources.dead_lua)
  static let pause = script(PackageResources.pause_lua)
  static let list = script(PackageResources.list_lua)
  static let show = script(PackageResources.show_lua)
  static let replay = script(PackageResources.replay_lua)
  static let said = script(PackageResources.said_lua)
  static let reject = script(PackageResources.reject_lua)
  static let endRest = script(PackageResources.end_rest_lua)
  static let purge = script(PackageResources.purge_lua)
  static let notificationStates = script(PackageResources.notification_states_lua)
  static let outboxBegin = script(PackageResources.outbox_begin_lua)
  static let outboxStore = script(PackageResources.outbox_store_lua)
  static let outboxClaim = script(PackageResources.outbox_claim_lua)
  static let outboxStep = script(PackageResources.outbox_step_lua)
  static let outboxEnd = script(PackageResources.outbox_end_lua)
  static let effect = script(PackageResources.effect_lua)
  static let runnerBeat = script(PackageResources.runner_beat_lua)
  static let runnerGone = script(PackageResources.runner_gone_lua)
  static let runners = script(PackageResources.runners_lua)
  static let running = script(PackageResources.running_lua)
  static let alerts = script(PackageResources.alerts_lua)

  private static func script(_ body: [UInt8]) -> RedisScript { RedisScript(PackageResources.common_lua + body) }
}
