import Testing

@testable import Bucket

/// AWS's published examples.
@Suite struct SignerTests {
  /// From the Signature Version 4 test suite; all its requests share key, region, service and time
  /// (20150830T123600Z).
  private let suite = AWSSigner(
    accessKeyID: "AKIDEXAMPLE", secretAccessKey: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", region: "us-east-1",
    service: "service")
  private let suiteTime = 1_440_938_160

  @Test(
    arguments: [
      ("GET", "/", [], "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
      ("POST", "/", [], "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
      (
        "GET", "/", [("Param2", "value2"), ("Param1", "value1")],
        "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"
      ),
      ("GET", "/%E1%88%B4", [], "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85"),
      (
        "GET", "/", [("\u{1234}", "bar")],
        "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04"
      ),
    ] as [(String, String, [(String, String)], String)])
  func signatureVersion4TestSuite(method: String, path: String, query: [(String, String)], signature: String) {
    let added = suite.sign(
      method: method, path: path, query: query.map { (name: $0.0, value: $0.1) },
      headers: [("Host", "example.amazonaws.com")], body: [], time: suiteTime)
    #expect(added.map(\.name) == ["x-amz-date", "authorization"])
    #expect(added.first?.value == "20150830T123600Z")
    #expect(
      added.last?.value
        == "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders=host;x-amz-date, Signature=\(signature)"
    )
  }

  /// From Amazon S3's "Signature Calculations for the Authorization Header": GET Object, GET Bucket Lifecycle, GET Bucket.
  private let s3 = AWSSigner(
    accessKeyID: "AKIAIOSFODNN7EXAMPLE", secretAccessKey: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    region: "us-east-1")
  private let s3Time = 1_369_353_600

  @Test(
    arguments: [
      (
        "/test.txt", [], [("Range", "bytes=0-9")],
        "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
      ),
      ("/", [("lifecycle", "")], [], "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"),
      (
        "/", [("max-keys", "2"), ("prefix", "J")], [],
        "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"
      ),
    ] as [(String, [(String, String)], [(String, String)], String)])
  func amazonS3Examples(path: String, query: [(String, String)], headers: [(String, String)], signature: String) {
    let added = s3.sign(
      method: "GET", path: path, query: query.map { (name: $0.0, value: $0.1) },
      headers: ([("Host", "examplebucket.s3.amazonaws.com")] + headers).map { (name: $0.0, value: $0.1) }, body: [],
      time: s3Time)
    #expect(added.last?.value.hasSuffix("Signature=\(signature)") == true, "\(added)")
    #expect(
      added.first { $0.name == "x-amz-content-sha256" }?.value
        == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
  }

  @Test(arguments: [
    (0, "19700101T000000Z"), (951_782_399, "20000228T235959Z"), (951_782_400, "20000229T000000Z"),
    (951_868_800, "20000301T000000Z"), (1_735_689_599, "20241231T235959Z"), (4_107_542_400, "21000301T000000Z"),
  ])
  func dates(time: Int, text: String) {
    #expect(AWSDate(time).timestamp == text)
    #expect(AWSDate(time).day == String(text.prefix(8)))
  }

  @Test func encoding() {
    #expect(AWSSigner.percentEncoded("a b/ä:~*+") == "a%20b%2F%C3%A4%3A~%2A%2B")
    #expect(AWSSigner.percentEncoded("a/b c", keepingSlashes: true) == "a/b%20c")
  }
}
