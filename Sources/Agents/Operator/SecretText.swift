/// A text with places for secrets: `Bearer ${GITHUB_TOKEN}`. What it holds is filled in where it is used, so that a
/// configuration that is shown, hashed or logged never has it.
public struct SecretText: Sendable, Hashable {
  private enum Piece: Sendable, Hashable {
    case text(String)
    case secret(String)
  }
  private let pieces: [Piece]
  /// As it is written in the file.
  public let source: String

  /// Reads a text. `${NAME}` is a secret by its name (letters, digits, `_`), `$$` one dollar sign; any other `$` is itself.
  /// Nil where a `${` is never closed or encloses no name.
  public init?(_ source: String) {
    var pieces: [Piece] = []
    var text = ""
    var rest = source[...]
    while let dollar = rest.firstIndex(of: "$") {
      text += rest[..<dollar]
      rest = rest[rest.index(after: dollar)...]
      if rest.hasPrefix("$") {
        text += "$"
        rest = rest.dropFirst()
      } else if rest.hasPrefix("{") {
        guard let end = rest.firstIndex(of: "}") else { return nil }
        let name = String(rest[rest.index(after: rest.startIndex)..<end])
        guard Self.isName(name) else { return nil }
        if !text.isEmpty { pieces.append(.text(text)) }
        pieces.append(.secret(name))
        text = ""
        rest = rest[rest.index(after: end)...]
      } else {
        text += "$"
      }
    }
    text += rest
    if !text.isEmpty { pieces.append(.text(text)) }
    self.pieces = pieces
    self.source = source
  }

  /// Names of the secrets in it, in order.
  public var secrets: [String] {
    pieces.compactMap { if case .secret(let name) = $0 { name } else { nil } }
  }

  /// The whole text; nil where a secret isn't among those given.
  public func filled(_ secrets: [String: String]) -> String? {
    var whole = ""
    for piece in pieces {
      switch piece {
      case .text(let text): whole += text
      case .secret(let name):
        guard let value = secrets[name] else { return nil }
        whole += value
      }
    }
    return whole
  }

  /// Letters, digits and `_`, not beginning with a digit: what a variable of an environment may be called.
  public static func isName(_ text: String) -> Bool {
    guard let first = text.utf8.first, !(0x30...0x39).contains(first) else { return false }
    return text.utf8.allSatisfy {
      (0x41...0x5A).contains($0) || (0x61...0x7A).contains($0) || (0x30...0x39).contains($0) || $0 == 0x5F
    }
  }
}
