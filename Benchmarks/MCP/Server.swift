import Glibc
import Linux

/// A tool server in Python, on its pipes.
final class Server {
  let input: Descriptor
  let output: Descriptor
  let errors: Descriptor
  private let process: ProcessHandle

  private static let program = """
    import json, sys
    for line in sys.stdin:
        message = json.loads(line)
        if "id" not in message: continue
        method = message["method"]
        if method == "initialize":
            result = {"protocolVersion": "2025-11-25", "capabilities": {"tools": {}}}
        elif method == "tools/list":
            result = {"tools": [{"name": "echo", "inputSchema": {"type": "object"}}]}
        else:
            result = {"content": [{"type": "text", "text": message["params"]["arguments"]["text"]}]}
        print(json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": result}), flush=True)
    """

  static func start() throws -> Server {
    let (stdin, input) = try makePipe()
    let (output, stdout) = try makePipe()
    let (errors, stderr) = try makePipe()
    let pid = try spawn(
      "/usr/bin/python3", ["python3", "-c", program], environment: ["PATH=/usr/bin:/bin"],
      descriptors: [stdin, stdout, stderr])
    return Server(input, output, errors, try ProcessHandle(child: pid))
  }

  private init(_ input: Descriptor, _ output: Descriptor, _ errors: Descriptor, _ process: ProcessHandle) {
    (self.input, self.output, self.errors, self.process) = (input, output, errors, process)
  }

  /// One line there, one line back.
  func ask(_ line: String) throws -> [UInt8] {
    try input.write((line + "\n").utf8)
    var answer: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 65536)
    while answer.last != 10 {
      let count = read(output.number, &buffer, buffer.count)
      if count <= 0 { throw LinuxError.last("read", "the server's answer") }
      answer += buffer[..<count]
    }
    return answer
  }

  func end() {
    try? process.signal(SIGKILL)
    _ = try? process.wait()
  }
}

/// A kept connection to the gateway.
final class Connection {
  private let socket: Descriptor

  init(port: Int) throws {
    let number = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    socket = Descriptor(owning: number)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = in_port_t(port).bigEndian
    address.sin_addr.s_addr = inet_addr("127.0.0.1")
    let result = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(number, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
    try check(result, "connect", "127.0.0.1:\(port)")
    var on: Int32 = 1
    setsockopt(number, Int32(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<Int32>.size))
  }

  /// Sends a call and reads its whole answer, which must be a result.
  func post(_ body: String) throws {
    let head =
      "POST /mcp/echo HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer token\r\nContent-Type: application/json\r\n"
      + "MCP-Protocol-Version: 2025-11-25\r\nContent-Length: \(body.utf8.count)\r\n\r\n"
    try socket.write((head + body).utf8)
    var answer: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 65536)
    while !isWhole(answer) {
      let count = read(socket.number, &buffer, buffer.count)
      if count <= 0 { throw LinuxError.last("read", "the gateway's answer") }
      answer += buffer[..<count]
    }
    guard String(decoding: answer, as: UTF8.self).contains("\"result\"") else {
      throw LinuxError("call", String(decoding: answer, as: UTF8.self), code: EPROTO)
    }
  }

  private func isWhole(_ answer: [UInt8]) -> Bool {
    let text = String(decoding: answer, as: UTF8.self)
    guard let end = text.firstRange(of: "\r\n\r\n"), let length = text.firstRange(of: "Content-Length: "),
      let wanted = Int(text[length.upperBound...].prefix { $0.isNumber })
    else { return false }
    return text[end.upperBound...].utf8.count >= wanted
  }
}
