/// The agents: small programs, each with a habit of its own.
enum Habit: String, CaseIterable, Sendable {
  /// Says it on standard output.
  case plain
  /// The same, after seconds.
  case slow
  /// Comments through its tool and dies of it, the first time; asked again it comments again, and ends in order.
  case martyr
  /// Comments through its tool and prints something as well.
  case both
  /// Now by its tool, now on standard output: like a model it decides anew each time that it is run.
  case fickle

  /// Every tenth is so, and so on.
  static func of(_ index: Int) -> Habit {
    switch index % 10 {
    case 0...4: .plain
    case 5: .slow
    case 6, 7: .martyr
    case 8: .both
    default: .fickle
    }
  }

  /// Never the same words twice: what is doubled can't be told by its text.
  private var script: String {
    let nap = #"nap() { sleep "$1.$((RANDOM % 900 + 100))"; }"#
    let words = #"words() { echo "$1, $(cat /proc/sys/kernel/random/uuid)"; }"#
    // One call of the tool; asks again while it is told that this can be done safely.
    let comment = #"""
      comment() {
        at=${MCP_HUB_URL#http://}; host=${at%%/*}; path=/${at#*/}; text="$(words "$1")"
        body='{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"create_comment","arguments":{"post_id":"'"$BOTBURROW_POST_ID"'","content":"'"$text"'"}}}'
        for try in 1 2 3 4 5 6; do
          exec 3<>"/dev/tcp/${host%%:*}/${host##*:}" || return 1
          printf 'POST %s HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nAccept: application/json, text/event-stream\r\nMCP-Protocol-Version: 2025-11-25\r\nConnection: close\r\nContent-Length: %s\r\n\r\n%s' \
            "$path" "$host" "$BOTBURROW_GATEWAY_TOKEN" "${#body}" "$body" >&3
          answer=$(cat <&3); exec 3>&-
          case "$answer" in *'"isError":true'*) sleep 0.3;; *'"result"'*) return 0;; *) echo "$answer" >&2; return 1;; esac
        done
        return 1
      }
      """#
    let prologue = [words, nap, comment, "prompt=$(cat)"].joined(separator: "\n")
    let body =
      switch self {
      case .plain: "nap 0; words said"
      case .slow: "nap $((RANDOM % 3 + 1)); words slowly"
      case .martyr:
        """
        comment myself || exit 7
        case "$prompt" in *myself*) ;; *) kill -9 $$;; esac
        """
      case .both: "comment both || exit 7; nap 0; words aloud"
      case .fickle: "if [ $((RANDOM % 2)) = 0 ]; then comment fickle || exit 7; nap 0; else nap 0; words fickle; fi"
      }
    return prologue + "\n" + body
  }

  /// The definition of an agent with this habit. `mark` is a word that is on its command line, and nowhere else.
  func definition(_ id: String, mark: String) -> String {
    let words = ["-c", script, mark].map { word in
      "    - |-\n" + word.split(separator: "\n", omittingEmptySubsequences: false).map { "      \($0)\n" }.joined()
    }
    return """
      version: "1.0.0"
      name: \(id)
      type: custom
      brain: {model: none}
      behavior: {limits: {max_daily_comments: 1000000}}
      capabilities:
        grants: [hub:read, hub:write]
      executor:
        command: /bin/bash
        args:
      \(words.joined())
      sandbox: {timeout: 60s}

      """
  }
}
