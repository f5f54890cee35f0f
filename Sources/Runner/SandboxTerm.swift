import Linux

/// Until when the sandbox of a leased activation may live. A runner that stands still (SIGSTOP, a swapping host) can't end it,
/// and another may hold the lease meanwhile: so the supervisor does, by the clock of the host that both are on.
enum SandboxTerm {
  /// How much sooner than its lease a sandbox ends: by then nothing of it may be left, for another runner may start the
  /// same agent.
  private static let margin = Duration.seconds(1)

  /// A little before the lease must be over that was granted after `asked`. The later of the two clocks is read last: a pause
  /// between them makes the term sooner, never later.
  static func of(
    lease: Duration, asked: ContinuousClock.Instant, boot: BootTime = .now,
    now: () -> ContinuousClock.Instant
  ) -> BootTime {
    boot.advanced(by: now().duration(to: asked) + lease - margin)
  }
}
