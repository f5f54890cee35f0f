import CCurl

/// What a client sets the same for all its transfers.
struct TransferSettings: Sendable {
  var userAgent: String
  var maxResponseBytes: Int
  var connectTimeout: Duration
  var proxy: String?
}

/// What a receiver makes of a piece of the body.
enum TransferAcceptance {
  case taken
  /// Ends the transfer.
  case refused
  /// Not now: it comes again once the transfer is resumed.
  case paused
}

/// Takes an answer as it comes in, on the loop's thread. `WholeAnswer` collects, `StreamedAnswer` hands on.
protocol TransferReceiver: AnyObject, Sendable {
  /// One header line, its line break included. False ends the transfer.
  func header(_ line: UnsafeBufferPointer<UInt8>) -> Bool
  /// A piece of the body.
  func body(_ bytes: UnsafeBufferPointer<UInt8>) -> TransferAcceptance
  /// Why the receiver ended the transfer; nil where it didn't.
  var refusal: String? { get }
  /// Called once, last.
  func finished(_ end: Result<Int, any Error>)
}

/// One exchange: an easy handle with all that curl keeps pointers to.
///
/// `@unchecked`: made by the caller, handed to the loop with `add`, and touched by the loop's thread alone from then on.
final class Transfer: @unchecked Sendable {
  let ticket: TransferTicket
  private let request: HTTPRequest
  private let settings: TransferSettings
  private let receiver: any TransferReceiver
  private let overHTTP1: Bool
  private var easy: UnsafeMutableRawPointer?
  private var headers: UnsafeMutablePointer<curl_slist>?
  private let errorText: UnsafeMutableBufferPointer<CChar>
  private let body: UnsafeMutableBufferPointer<UInt8>
  private let bodyCount: Int

  init(
    _ request: HTTPRequest, settings: TransferSettings, ticket: TransferTicket, receiver: any TransferReceiver,
    overHTTP1: Bool = false
  ) {
    self.overHTTP1 = overHTTP1
    self.request = request
    self.settings = settings
    self.ticket = ticket
    self.receiver = receiver
    errorText = .allocate(capacity: Int(CURL_ERROR_SIZE))
    errorText.initialize(repeating: 0)
    let bytes = request.body ?? []
    bodyCount = bytes.count
    // Never empty: without an address curl would ask a read callback for the body.
    body = .allocate(capacity: bytes.count + 1)
    body.initialize(repeating: 0)
    _ = body.update(from: bytes)
  }

  deinit {
    // The handle goes first: it points to the rest.
    if let easy { curl_easy_cleanup(easy) }
    curl_slist_free_all(headers)
    errorText.deallocate()
    body.deallocate()
  }

  /// Makes the easy handle with every option set; nil where that failed, and then the receiver has been told.
  func prepare() -> UnsafeMutableRawPointer? {
    guard let easy = curl_easy_init() else {
      fail("no memory for a transfer", code: CURLE_OUT_OF_MEMORY)
      return nil
    }
    self.easy = easy
    let options = OptionSetter(easy)
    options.set(CURLOPT_ERRORBUFFER, pointer: errorText.baseAddress)
    options.set(CURLOPT_URL, request.url)
    options.set(CURLOPT_PROTOCOLS_STR, "http,https")
    options.set(CURLOPT_PATH_AS_IS, 1)
    options.set(CURLOPT_FOLLOWLOCATION, 0)
    options.set(CURLOPT_NOSIGNAL, 1)
    // Without this, removing a transfer whose name is still being looked up waits for the resolver's thread, and all
    // other transfers with it; with it, that thread is let go and cleans up after itself (curl 7.88, asyn-thread.c).
    options.set(CURLOPT_QUICK_EXIT, 1)
    options.set(CURLOPT_TCP_NODELAY, 1)
    options.closeSocketsOnExec()
    // One connection a stream: a reader that is behind stops its own server, and no other stream beside it.
    if overHTTP1 { options.set(CURLOPT_HTTP_VERSION, Int(CURL_HTTP_VERSION_1_1)) }
    options.set(CURLOPT_USERAGENT, settings.userAgent)
    options.set(CURLOPT_TIMEOUT_MS, request.timeout.curlMilliseconds)
    options.set(CURLOPT_CONNECTTIMEOUT_MS, settings.connectTimeout.curlMilliseconds)
    // The empty text keeps curl from looking for a proxy in the environment.
    options.set(CURLOPT_PROXY, settings.proxy ?? "")
    if let path = request.unixSocket { options.set(CURLOPT_UNIX_SOCKET_PATH, path) }
    setMethod(options)
    setHeaders(options)
    setCallbacks(options)
    guard options.failure == CURLE_OK else {
      fail(curlText(options.failure), code: options.failure)
      return nil
    }
    return easy
  }

  private func setMethod(_ options: OptionSetter) {
    let takesBody = ["POST", "PUT", "PATCH"].contains(request.method)
    switch request.method {
    case "HEAD": options.set(CURLOPT_NOBODY, 1)
    case "GET" where request.body == nil: options.set(CURLOPT_HTTPGET, 1)
    default:
      if request.body != nil || takesBody {
        options.set(CURLOPT_POST, 1)
        options.set(CURLOPT_POSTFIELDSIZE_LARGE, offset: bodyCount)
        options.set(CURLOPT_POSTFIELDS, pointer: body.baseAddress)
      }
      options.set(CURLOPT_CUSTOMREQUEST, request.method)
    }
  }

  private func setHeaders(_ options: OptionSetter) {
    // curl waits a second for "100 Continue" with larger bodies, and calls every body a form, unless told otherwise.
    var lines = ["Expect:"]
    if !request.headers.contains(where: { $0.name.lowercased() == "content-type" }) { lines.append("Content-Type:") }
    // curl takes "Name:" as "leave it out", "Name;" as "send it empty".
    lines += request.headers.map { $0.value.isEmpty ? "\($0.name);" : "\($0.name): \($0.value)" }
    for line in lines {
      guard let longer = curl_slist_append(headers, line) else {
        options.failure = CURLE_OUT_OF_MEMORY
        return
      }
      headers = longer
    }
    options.set(CURLOPT_HTTPHEADER, list: headers)
  }

  private func setCallbacks(_ options: OptionSetter) {
    // The loop holds the transfer as long as the handle is in use.
    let context = Unmanaged.passUnretained(self).toOpaque()
    options.set(CURLOPT_HEADERDATA, pointer: context)
    options.set(CURLOPT_HEADERFUNCTION) { bytes, size, count, context in
      Transfer.deliver(bytes, size * count, context) { $0.header($1) ? .taken : .refused }
    }
    options.set(CURLOPT_WRITEDATA, pointer: context)
    options.set(CURLOPT_WRITEFUNCTION) { bytes, size, count, context in
      Transfer.deliver(bytes, size * count, context) { $0.body($1) }
    }
  }

  /// Returning another count than the one given ends the transfer with CURLE_WRITE_ERROR.
  private static func deliver(
    _ bytes: UnsafeMutablePointer<CChar>?, _ count: Int, _ context: UnsafeMutableRawPointer?,
    _ accept: (any TransferReceiver, UnsafeBufferPointer<UInt8>) -> TransferAcceptance
  ) -> Int {
    guard let context, count > 0 else { return count }
    let transfer = Unmanaged<Transfer>.fromOpaque(context).takeUnretainedValue()
    let start = UnsafeRawPointer(bytes)?.assumingMemoryBound(to: UInt8.self)
    switch accept(transfer.receiver, UnsafeBufferPointer(start: start, count: count)) {
    case .taken: return count
    case .refused: return 0
    case .paused: return Int(CURL_WRITEFUNC_PAUSE)
    }
  }

  /// Lets a paused transfer go on; curl may deliver at once.
  func resume() {
    if let easy { curl_easy_pause(easy, CURLPAUSE_CONT) }
  }

  // MARK: ends, each called once at most

  func finished(_ code: CURLcode) {
    guard code == CURLE_OK, let easy else {
      let words = errorText.baseAddress.map { String(cString: $0) } ?? ""
      return fail(receiver.refusal ?? (words.isEmpty ? curlText(code) : words), code: code)
    }
    var status = 0
    _ = botburrow_curl_get_long(easy, CURLINFO_RESPONSE_CODE, &status)
    receiver.finished(.success(status))
  }

  func fail(_ reason: String, code: CURLcode) {
    receiver.finished(
      .failure(
        HTTPClientError(method: request.method, url: request.url, code: Int(code.rawValue), reason: reason)))
  }

  func cancelled() { receiver.finished(.failure(CancellationError())) }

  private func curlText(_ code: CURLcode) -> String {
    curl_easy_strerror(code).map { String(cString: $0) } ?? "libcurl failed"
  }
}

/// Sets options and remembers the first that failed.
private final class OptionSetter {
  private let easy: UnsafeMutableRawPointer
  var failure = CURLE_OK
  init(_ easy: UnsafeMutableRawPointer) { self.easy = easy }

  func set(_ option: CURLoption, _ value: Int) { note(botburrow_curl_set_long(easy, option, value)) }
  func set(_ option: CURLoption, offset: Int) { note(botburrow_curl_set_offset(easy, option, offset)) }
  func set(_ option: CURLoption, _ text: String) { note(botburrow_curl_set_string(easy, option, text)) }
  func set(_ option: CURLoption, pointer: UnsafeMutableRawPointer?) {
    note(botburrow_curl_set_pointer(easy, option, pointer))
  }
  func set(_ option: CURLoption, list: UnsafeMutablePointer<curl_slist>?) {
    note(botburrow_curl_set_list(easy, option, list))
  }
  func set(_ option: CURLoption, _ callback: botburrow_curl_callback) {
    note(botburrow_curl_set_callback(easy, option, callback))
  }
  func closeSocketsOnExec() { note(botburrow_curl_use_private_sockets(easy)) }
  private func note(_ code: CURLcode) { if failure == CURLE_OK { failure = code } }
}

extension Duration {
  /// Milliseconds, at least 1 because curl takes 0 for "no limit", at most what curl accepts (CURLOPT_TIMEOUT_MS(3)).
  fileprivate var curlMilliseconds: Int {
    let (seconds, attoseconds) = components
    guard seconds < 2_000_000 else { return 2_000_000_000 }
    return max(1, Int(seconds) * 1000 + Int(attoseconds / 1_000_000_000_000_000))
  }
}
