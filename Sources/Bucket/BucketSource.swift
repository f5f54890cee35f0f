import Agents
import Glibc
import HTTPClient

/// Definitions in an S3 bucket (R2 speaks the same), addressed by path and signed with SigV4.
public struct BucketSource: DefinitionSource, DefinitionFiles {
  private let bucket: String
  private let endpoint: String
  private let signer: AWSSigner
  private let transport: any HTTPTransport
  private let now: @Sendable () -> Int

  /// - Parameters:
  ///   - endpoint: URL of the S3 service, without the bucket.
  ///   - region: `auto` for R2.
  ///   - now: seconds since 1970; S3 refuses signatures whose time is a quarter of an hour off.
  public init(
    bucket: String, endpoint: String, accessKeyID: String, secretAccessKey: String, region: String,
    transport: any HTTPTransport, now: @escaping @Sendable () -> Int = { time(nil) }
  ) {
    self.bucket = bucket
    self.endpoint = endpoint.hasSuffix("/") ? String(endpoint.dropLast()) : endpoint
    signer = AWSSigner(accessKeyID: accessKeyID, secretAccessKey: secretAccessKey, region: region)
    self.transport = transport
    self.now = now
  }

  package var place: String { "bucket '\(bucket)'" }
  package func name(_ path: String) -> String { "\(bucket)/\(path)" }

  /// See `DefinitionSource`.
  public func list() async throws -> [String] { try await listAgents() }
  /// See `DefinitionSource`.
  public func walk(_ visit: ([String]) async throws -> Void) async throws { try await walkAgents(visit) }
  /// See `DefinitionSource`.
  public func load(_ agentID: String) async throws -> LoadedAgent { try await loadAgent(agentID) }
  /// See `DefinitionSource`. A file is the same while its entity tag is (RFC 9110, section 13.1.2).
  public func load(_ agentID: String, unless known: [DefinitionFile]) async throws -> LoadedAgent? {
    try await loadAgent(agentID, unless: known)
  }

  /// ListObjectsV2 with a delimiter: one common prefix for each directory, a thousand a page.
  package func eachAgentNames(_ visit: ([String]) async throws -> Void) async throws {
    let prefix = "agents/"
    var token: String?
    // A server that hands out tokens for ever must not hold us for ever.
    for _ in 0..<10_000 {
      var query = [("list-type", "2"), ("prefix", prefix), ("delimiter", "/")]
      if let token { query.append(("continuation-token", token)) }
      let answer = try await get("/\(bucket)", query: query, key: prefix)
      guard answer.status == 200 else { throw failure(answer, key: prefix) }
      guard let page = ListPage(answer.body) else {
        throw DefinitionError.bucket(
          name: bucket, key: prefix, problem: "the answer to ListObjectsV2 is not an S3 listing",
          hint: "check that r2.endpoint is the S3 endpoint")
      }
      try await visit(
        page.prefixes.filter { $0.hasPrefix(prefix) && $0.hasSuffix("/") }
          .map { String($0.dropFirst(prefix.count).dropLast()) })
      guard let next = page.nextToken else { return }
      token = next
    }
    throw DefinitionError.bucket(
      name: bucket, key: prefix, problem: "the listing has no end", hint: "check what is stored under agents/")
  }

  package func read(_ path: String, unless version: DefinitionFile.Version?) async throws -> FileReading {
    var known: String?
    if case .tag(let tag) = version { known = tag }
    let answer = try await get(
      "/\(bucket)/" + AWSSigner.percentEncoded(path, keepingSlashes: true), query: [], key: path, unless: known)
    switch answer.status {
    case 304 where known != nil: return .unchanged
    case 200:
      guard answer.body.count <= DefinitionError.fileLimit else {
        throw DefinitionError.tooLarge(file: name(path), limit: DefinitionError.fileLimit)
      }
      let tag = answer.header("etag").flatMap { $0.isEmpty ? nil : $0 }
      return .read(answer.body, tag.map { .tag($0) } ?? .unknown)
    case 404 where S3Failure(answer.body).code != "NoSuchBucket": return .absent
    default: throw failure(answer, key: path)
    }
  }

  /// - Parameter tag: answered with 304 and nothing else while the object has it. Not signed: S3 wants only the host and its own
  ///   headers signed, and what stands between may rewrite a condition.
  private func get(
    _ path: String, query: [(name: String, value: String)], key: String, unless tag: String? = nil
  ) async throws -> HTTPResponse {
    guard let target = S3Endpoint(endpoint) else {
      throw DefinitionError.bucket(
        name: bucket, key: key, problem: "'\(endpoint)' is not an http:// or https:// URL", hint: "correct r2.endpoint")
    }
    var headers = signer.sign(
      method: "GET", path: target.basePath + path, query: query, headers: [("host", target.host)], body: [],
      time: now())
    if let tag { headers.append(("if-none-match", tag)) }
    let suffix = query.isEmpty ? "" : "?" + AWSSigner.encode(query)
    do {
      return try await transport.send(HTTPRequest(url: endpoint + path + suffix, headers: headers))
    } catch let error as HTTPClientError {
      throw DefinitionError.bucket(
        name: bucket, key: key, problem: error.description, hint: "check r2.endpoint and the network")
    }
  }

  private func failure(_ answer: HTTPResponse, key: String) -> DefinitionError {
    let failure = S3Failure(answer.body)
    let words = failure.code.map { " (\($0))" } ?? ""
    let hint =
      switch (answer.status, failure.code) {
      case (_, "RequestTimeTooSkewed"?): "set this host's clock"
      case (_, "NoSuchBucket"?): "check r2.bucket and r2.endpoint"
      case (401, _), (403, _):
        "check R2_ACCESS_KEY_ID, R2_SECRET_ACCESS_KEY and r2.region, and that the key may read this bucket"
      case (404, _): "check r2.bucket and r2.endpoint"
      case (301, _), (307, _), (308, _): "the bucket is served elsewhere; correct r2.endpoint or r2.region"
      case (429, _), (500..., _): "the service is busy or broken; the next attempt may succeed"
      default: "check r2.bucket and r2.endpoint"
      }
    return .bucket(name: bucket, key: key, problem: "status \(answer.status)\(words)", hint: hint)
  }
}

/// The parts of an endpoint that a signature needs.
private struct S3Endpoint {
  /// Host with its port unless that is the scheme's own, as HTTP clients send it.
  let host: String
  /// Usually empty.
  let basePath: String

  init?(_ url: String) {
    guard let scheme = [("http://", ":80"), ("https://", ":443")].first(where: { url.lowercased().hasPrefix($0.0) })
    else { return nil }
    let rest = url.dropFirst(scheme.0.count)
    let authority = rest.prefix { $0 != "/" }
    guard !authority.isEmpty, !authority.contains("@") else { return nil }
    // curl leaves the scheme's own port out of the Host header.
    host = authority.hasSuffix(scheme.1) ? String(authority.dropLast(scheme.1.count)) : String(authority)
    basePath = String(rest.dropFirst(authority.count))
  }
}
