import Glibc
import JSON
import Synchronization

/// An S3 server (moto) that checks signatures and permissions, on a free loopback port.
///
/// One Python process holds the server and a client of it for making buckets and objects; it reads orders on its standard
/// input and ends with the test process, whose end of that socket closes then. Needs a Python that can import `moto`:
/// `BOTBURROW_TEST_PYTHON` or `python3`; where it can't, `moto[server]` is installed into `.build/test-python`.
package final class S3Server: Sendable {
  /// `http://127.0.0.1:PORT`
  package let endpoint: String
  /// A key that may do everything with S3.
  package let accessKeyID: String
  /// Belongs to `accessKeyID`.
  package let secretAccessKey: String
  /// Guards the conversation: one order, one answer.
  private let socket: Mutex<Int32>

  private static let sharedStart = Task { try await offThread { try S3Server() } }
  /// The server that all tests of a process share, with a bucket for each of them.
  package static func shared() async throws -> S3Server { try await sharedStart.value }

  private init() throws {
    let python = getenv("BOTBURROW_TEST_PYTHON").map { String(cString: $0) } ?? "python3"
    let ours = try Self.launch(python)
    let greeting: JSONValue
    do {
      greeting = try Self.readAnswer(ours)
    } catch {
      close(ours)
      throw error
    }
    guard let endpoint = greeting["endpoint"]?.string, let id = greeting["id"]?.string,
      let secret = greeting["secret"]?.string
    else {
      close(ours)
      throw TestServerError("the S3 server of \(python) did not start: \(greeting)")
    }
    self.endpoint = endpoint
    accessKeyID = id
    secretAccessKey = secret
    socket = Mutex(ours)
  }

  /// Makes a bucket with objects in it.
  package func makeBucket(_ name: String, objects: [String: String] = [:]) async throws {
    try await order(["do": "bucket", "bucket": .string(name)])
    for (key, text) in objects { try await put(text, bucket: name, key: key) }
  }

  /// Puts an object, also over an older one.
  package func put(_ text: String, bucket: String, key: String) async throws {
    try await order(["do": "put", "bucket": .string(bucket), "key": .string(key), "text": .string(text)])
  }

  /// Takes an object away.
  package func delete(bucket: String, key: String) async throws {
    try await order(["do": "delete", "bucket": .string(bucket), "key": .string(key)])
  }

  private func order(_ order: JSONValue) async throws {
    let line = try JSON.encode(order) + [UInt8(ascii: "\n")]
    let answer = try await offThread { [self] in
      try socket.withLock { socket in
        var rest = line[...]
        while !rest.isEmpty {
          let sent = rest.withUnsafeBytes { send(socket, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
          guard sent > 0 else { throw TestServerError("the S3 server is gone: errno \(errno)") }
          rest = rest.dropFirst(sent)
        }
        return try Self.readAnswer(socket)
      }
    }
    if let error = answer["error"]?.string { throw TestServerError("S3 server: \(error)") }
  }

  private static func readAnswer(_ socket: Int32) throws -> JSONValue {
    var line: [UInt8] = []
    while line.last != UInt8(ascii: "\n") {
      var byte: UInt8 = 0
      let count = recv(socket, &byte, 1, 0)
      if count < 0, errno == EINTR { continue }
      guard count == 1 else {
        throw TestServerError(
          "the S3 server ended; it needs a Python with moto[server] (set BOTBURROW_TEST_PYTHON): "
            + String(decoding: line, as: UTF8.self))
      }
      line.append(byte)
    }
    return try JSONValue(parsing: line)
  }

  /// Returns our end of the socket that is the program's standard input and output.
  private static func launch(_ python: String) throws -> Int32 {
    var ends: [Int32] = [0, 0]
    let type = Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue)
    guard socketpair(AF_UNIX, type, 0, &ends) == 0 else { throw TestServerError("socketpair: errno \(errno)") }
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_adddup2(&actions, ends[0], 0)
    posix_spawn_file_actions_adddup2(&actions, ends[0], 1)
    let root = "/" + #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
    let words = [python, "-c", program, root + "/.build/test-python"]
    var pid = pid_t()
    let pointers: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) } + [nil]
    defer { for pointer in pointers { free(pointer) } }
    let failure = posix_spawnp(&pid, python, &actions, nil, pointers, environ)
    close(ends[0])
    guard failure == 0 else {
      close(ends[1])
      throw TestServerError("\(python) can't be started (set BOTBURROW_TEST_PYTHON): errno \(failure)")
    }
    return ends[1]
  }

  private static let program = """
    import json, os, subprocess, sys

    # Other tests' sockets, held open here too, would never seem closed to their peers.
    os.closerange(3, 65536)
    # Anything that a library prints must not get into the conversation.
    talk = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    target = sys.argv[1]
    sys.path.append(target)
    try:
        import moto.server
    except ImportError:
        subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "--target", target, "moto[server]"], check=True)
        import moto.server
    import boto3, flask, logging, moto.settings
    import moto.iam.access_control as access
    # moto 5.2 decodes the query before it checks its signature ("prefix=a/" for "prefix=a%2F"), and so refuses even AWS's
    # own client. Let it check what was sent.
    check = access.IAMRequestBase._create_aws_request
    def check_as_sent(request):
        request._path = flask.request.environ["RAW_URI"]
        return check(request)
    access.IAMRequestBase._create_aws_request = check_as_sent
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = moto.server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    endpoint = "http://127.0.0.1:%d" % server.get_host_and_port()[1]
    def client(service, id, secret):
        return boto3.client(service, endpoint_url=endpoint, region_name="us-east-1",
                            aws_access_key_id=id, aws_secret_access_key=secret)
    iam = client("iam", "any", "any")
    iam.create_user(UserName="tester")
    rule = {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}}
    iam.put_user_policy(UserName="tester", PolicyName="all", PolicyDocument=json.dumps(rule))
    key = iam.create_access_key(UserName="tester")["AccessKey"]
    # From here on every request must be signed by a key that may do what it asks for.
    moto.settings.INITIAL_NO_AUTH_ACTION_COUNT = 0
    s3 = client("s3", key["AccessKeyId"], key["SecretAccessKey"])
    def say(value):
        talk.write(json.dumps(value) + "\\n")
    say({"endpoint": endpoint, "id": key["AccessKeyId"], "secret": key["SecretAccessKey"]})
    for line in sys.stdin:
        order = json.loads(line)
        try:
            if order["do"] == "bucket":
                s3.create_bucket(Bucket=order["bucket"])
            elif order["do"] == "put":
                s3.put_object(Bucket=order["bucket"], Key=order["key"], Body=order["text"].encode())
            else:
                s3.delete_object(Bucket=order["bucket"], Key=order["key"])
            say({})
        except Exception as error:
            say({"error": str(error)})
    os._exit(0)
    """
}

/// Runs blocking work on a thread of its own, so that it doesn't hold one of the few that tasks share.
private func offThread<Value: Sendable>(_ work: @escaping @Sendable () throws -> Value) async throws -> Value {
  try await withCheckedThrowingContinuation { continuation in
    let box = Unmanaged.passRetained(Work { continuation.resume(with: Result { try work() }) })
    var thread = pthread_t()
    let code = pthread_create(
      &thread, nil,
      { context in
        if let context { Unmanaged<Work>.fromOpaque(context).takeRetainedValue().run() }
        return nil
      }, box.toOpaque())
    if code == 0 {
      pthread_detach(thread)
    } else {
      box.release()
      continuation.resume(throwing: TestServerError("pthread_create: errno \(code)"))
    }
  }
}

private final class Work: Sendable {
  let run: @Sendable () -> Void
  init(_ run: @escaping @Sendable () -> Void) { self.run = run }
}
