import CCurl
import Glibc
import Synchronization

/// The client's one thread: it owns the multi handle and every transfer in it; callers only leave orders.
///
/// `@unchecked`: `multi` is used by the loop's thread alone, save for `curl_multi_wakeup`, which libcurl allows from
/// any thread as long as the handle lives; `orders` guards that life.
final class TransferLoop: @unchecked Sendable {
  private enum Order {
    case add(Transfer)
    case cancel(TransferTicket)
    case resume(TransferTicket)
    case stop
  }
  private struct Orders {
    var waiting: [Order] = []
    /// Set once the thread has taken its last orders; the handle may be gone from then on.
    var closed = false
  }
  private let orders = Mutex(Orders())
  private let multi: UnsafeMutableRawPointer?

  /// libcurl-thread(3): global initialisation comes first, once in the process.
  private static let isGlobalInitDone: Bool = curl_global_init(Int(CURL_GLOBAL_DEFAULT)) == CURLE_OK

  private init() {
    multi = Self.isGlobalInitDone ? curl_multi_init() : nil
    // Idle connections kept for reuse; the default grows with the number of transfers.
    if let multi { _ = botburrow_curl_multi_set_long(multi, CURLMOPT_MAXCONNECTS, 64) }
  }

  /// Makes a loop with a running thread. Where no thread or handle could be had, every transfer fails and says so.
  static func start() -> TransferLoop {
    let loop = TransferLoop()
    guard loop.multi != nil else {
      loop.orders.withLock { $0.closed = true }
      return loop
    }
    var thread = pthread_t()
    let context = Unmanaged.passRetained(loop)
    let code = pthread_create(
      &thread, nil,
      { context in
        guard let context else { return nil }
        let loop = Unmanaged<TransferLoop>.fromOpaque(context).takeRetainedValue()
        loop.run()
        return nil
      }, context.toOpaque())
    if code == 0 {
      pthread_detach(thread)
    } else {
      context.release()
      loop.orders.withLock { $0.closed = true }
    }
    return loop
  }

  func add(_ transfer: Transfer) {
    if !leave(.add(transfer)) {
      transfer.fail("the HTTP client's thread could not be started", code: CURLE_FAILED_INIT)
    }
  }

  /// The transfer ends with `CancellationError` unless it is over already.
  func cancel(_ ticket: TransferTicket) {
    // The flag is for a cancellation that overtakes its own `add`.
    ticket.cancel()
    _ = leave(.cancel(ticket))
  }

  /// Lets a transfer go on whose receiver paused it.
  func resume(_ ticket: TransferTicket) { _ = leave(.resume(ticket)) }

  func stop() { _ = leave(.stop) }

  private func leave(_ order: Order) -> Bool {
    orders.withLock { orders in
      guard !orders.closed else { return false }
      orders.waiting.append(order)
      curl_multi_wakeup(multi)
      return true
    }
  }

  // MARK: on the loop's thread

  private func run() {
    guard let multi else { return }
    // Signals belong to the daemon's other threads; a blocked SIGPIPE makes TLS writes to a gone peer fail with EPIPE.
    var all = sigset_t()
    sigfillset(&all)
    pthread_sigmask(SIG_BLOCK, &all, nil)

    var active: [UnsafeMutableRawPointer: Transfer] = [:]
    while obey(multi, &active) {
      var running: Int32 = 0
      let performed = curl_multi_perform(multi, &running)
      finishDone(multi, &active)
      if performed != CURLM_OK { failAll(multi, &active, curlText(performed)) }
      // libcurl shortens this to its own next timer; a wakeup ends it at once and is not lost when it comes early.
      let polled = curl_multi_poll(multi, nil, 0, 60_000, nil)
      if polled != CURLM_OK { failAll(multi, &active, curlText(polled)) }
    }
    failAll(multi, &active, "the HTTP client was closed")
    curl_multi_cleanup(multi)
  }

  /// Carries out what callers left; false when the last order was to stop.
  private func obey(_ multi: UnsafeMutableRawPointer, _ active: inout [UnsafeMutableRawPointer: Transfer]) -> Bool {
    let taken = orders.withLock { orders in
      let taken = orders.waiting
      orders.waiting = []
      if taken.contains(where: { if case .stop = $0 { true } else { false } }) { orders.closed = true }
      return taken
    }
    var goOn = true
    for order in taken {
      switch order {
      case .add(let transfer): begin(transfer, multi, &active)
      case .cancel(let ticket):
        guard let easy = ticket.easy, let transfer = active[easy], transfer.ticket === ticket else { continue }
        curl_multi_remove_handle(multi, easy)
        active[easy] = nil
        transfer.cancelled()
      case .resume(let ticket):
        guard let easy = ticket.easy, let transfer = active[easy], transfer.ticket === ticket else { continue }
        transfer.resume()
      case .stop: goOn = false
      }
    }
    return goOn
  }

  private func begin(
    _ transfer: Transfer, _ multi: UnsafeMutableRawPointer, _ active: inout [UnsafeMutableRawPointer: Transfer]
  ) {
    if transfer.ticket.isCancelled { return transfer.cancelled() }
    guard let easy = transfer.prepare() else { return }
    let code = curl_multi_add_handle(multi, easy)
    guard code == CURLM_OK else { return transfer.fail(curlText(code), code: CURLE_FAILED_INIT) }
    active[easy] = transfer
    transfer.ticket.easy = easy
  }

  private func finishDone(
    _ multi: UnsafeMutableRawPointer, _ active: inout [UnsafeMutableRawPointer: Transfer]
  ) {
    var left: Int32 = 0
    while let message = curl_multi_info_read(multi, &left) {
      guard message.pointee.msg == CURLMSG_DONE, let easy = message.pointee.easy_handle,
        let transfer = active.removeValue(forKey: easy)
      else { continue }
      // The message is gone once its handle is removed (curl_multi_info_read(3)).
      let result = message.pointee.data.result
      curl_multi_remove_handle(multi, easy)
      transfer.finished(result)
    }
  }

  private func failAll(
    _ multi: UnsafeMutableRawPointer, _ active: inout [UnsafeMutableRawPointer: Transfer], _ reason: String
  ) {
    for (easy, transfer) in active {
      curl_multi_remove_handle(multi, easy)
      transfer.fail(reason, code: CURLE_ABORTED_BY_CALLBACK)
    }
    active = [:]
  }

  private func curlText(_ code: CURLMcode) -> String {
    curl_multi_strerror(code).map { String(cString: $0) } ?? "libcurl's multi interface failed with \(code.rawValue)"
  }
}

/// Names one transfer to its canceller.
///
/// `@unchecked`: `easy` is touched by the loop's thread alone.
final class TransferTicket: @unchecked Sendable {
  private let flag = Atomic(false)
  /// The transfer's handle once it is under way; another may have it afterwards.
  var easy: UnsafeMutableRawPointer?
  var isCancelled: Bool { flag.load(ordering: .acquiring) }
  func cancel() { flag.store(true, ordering: .releasing) }
}
