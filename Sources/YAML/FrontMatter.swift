/// A text file that begins with YAML between two lines of `---`, as SKILL.md does.
public struct FrontMatter: Sendable, Hashable {
  /// The YAML between the lines. A blank first line stands for the opening `---`, so that positions are those of the file.
  public let header: [UInt8]
  /// What follows the closing line.
  public let body: String

  /// Splits a file; an error where it doesn't begin with `---` or the header is never closed.
  public init(splitting bytes: [UInt8], file: String) throws(YAMLError) {
    let start = YAMLPosition(line: 1, column: 1)
    let mark: [UInt8] = [0xEF, 0xBB, 0xBF]
    var lines = bytes.dropFirst(bytes.starts(with: mark) ? mark.count : 0)
      .split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)[...]
    guard let first = lines.popFirst(), Self.isFence(first) else {
      throw YAMLError(
        file: file, position: start,
        sentence: "the file must begin with a line '---', then keys such as name and description, then '---'")
    }
    guard let end = lines.firstIndex(where: Self.isFence) else {
      throw YAMLError(
        file: file, position: start, sentence: "the header that begins here is never closed; end it with a line '---'")
    }
    header = [UInt8(ascii: "\n")] + lines[..<end].joined(separator: [UInt8(ascii: "\n")]) + [UInt8(ascii: "\n")]
    let rest = Array(lines[(end + 1)...].joined(separator: [UInt8(ascii: "\n")]))
    guard let text = String(validating: rest, as: UTF8.self) else {
      throw YAMLError(
        file: file, position: YAMLPosition(line: end + 2, column: 1), sentence: "the text below the header is not UTF-8"
      )
    }
    body = text
  }

  private static func isFence(_ line: ArraySlice<UInt8>) -> Bool {
    var line = line
    while let last = line.last, [UInt8(ascii: "\r"), UInt8(ascii: " ")].contains(last) { line.removeLast() }
    return line.elementsEqual("---".utf8)
  }
}
