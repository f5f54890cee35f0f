import Glibc
import Testing

@testable import Observe

@Suite struct MetricsTests {
  @Test func exposesTheFourMetricsOfTheContractAsPrometheusReadsThem() {
    let metrics = Metrics()
    metrics.increment(
      "botburrow_activations_total", [("status", "ok"), ("agent", "claude-coder-1"), ("tool_type", "claude-code")])
    metrics.observe("botburrow_activation_duration_seconds", [("agent", "a"), ("tool_type", "custom")], 0.25)
    metrics.observe("botburrow_activation_duration_seconds", [("agent", "a"), ("tool_type", "custom")], 4000)
    metrics.increment(
      "botburrow_tokens_total", [("agent", "a"), ("tool_type", "custom"), ("direction", "input")], by: 12)
    metrics.set("botburrow_runner_queue_depth", [("pool", "hybrid")], to: 3)
    #expect(
      metrics.exposition() == """
        # HELP botburrow_activation_duration_seconds Time from claim to the end of an activation.
        # TYPE botburrow_activation_duration_seconds histogram
        \([("0.1", 0), ("0.25", 1), ("0.5", 1), ("1", 1), ("2.5", 1), ("5", 1), ("10", 1), ("30", 1), ("60", 1),
            ("120", 1), ("300", 1), ("600", 1), ("1800", 1), ("3600", 1), ("+Inf", 2)].map {
            #"botburrow_activation_duration_seconds_bucket{agent="a",tool_type="custom",le="\#($0.0)"} \#($0.1)"#
          }.joined(separator: "\n"))
        botburrow_activation_duration_seconds_sum{agent="a",tool_type="custom"} 4000.25
        botburrow_activation_duration_seconds_count{agent="a",tool_type="custom"} 2
        # HELP botburrow_activations_total Activations that ended, by how they ended.
        # TYPE botburrow_activations_total counter
        botburrow_activations_total{agent="claude-coder-1",tool_type="claude-code",status="ok"} 1
        # HELP botburrow_runner_queue_depth Work items that wait in a pool's list.
        # TYPE botburrow_runner_queue_depth gauge
        botburrow_runner_queue_depth{pool="hybrid"} 3
        # HELP botburrow_tokens_total Model tokens, by direction (input or output).
        # TYPE botburrow_tokens_total counter
        botburrow_tokens_total{agent="a",tool_type="custom",direction="input"} 12
        # HELP botburrow_metrics_misuse_total Updates of metrics that are not described so; a defect.
        # TYPE botburrow_metrics_misuse_total counter
        botburrow_metrics_misuse_total 0

        """)
  }

  @Test func escapesLabelValues() {
    let metrics = Metrics()
    metrics.set("botburrow_runner_queue_depth", [("pool", "a\"b\\c\nd\r\n")], to: 1.5)
    #expect(metrics.exposition().contains("botburrow_runner_queue_depth{pool=\"a\\\"b\\\\c\\nd\r\\n\"} 1.5\n"))
  }

  @Test func addsUpWhatIsOverTheLimitInOneSeries() {
    let metrics = Metrics(seriesLimit: 2)
    for agent in ["a", "b", "c", "d", "a"] {
      metrics.increment("botburrow_definition_errors_total", [("agent", agent)])
    }
    let text = metrics.exposition()
    #expect(text.contains(#"botburrow_definition_errors_total{agent="a"} 2"#))
    #expect(text.contains(#"botburrow_definition_errors_total{agent="other"} 2"#))
    #expect(!text.contains(#"agent="c""#))
    #expect(text.contains(#"botburrow_metrics_overflow_total{metric="botburrow_definition_errors_total"} 2"#))
  }

  @Test func countsMisuseInsteadOfStopping() {
    let metrics = Metrics()
    metrics.increment("botburrow_no_such_metric")
    metrics.increment("botburrow_runner_queue_depth", [("pool", "a")])  // a gauge
    metrics.increment("botburrow_activations_total", [("agent", "a")])  // labels missing
    metrics.increment("botburrow_claims_total", [("pool", "a"), ("result", "b")], by: -1)
    metrics.set("botburrow_parked", to: .nan)
    #expect(metrics.exposition().contains("\nbotburrow_metrics_misuse_total 5\n"))
  }

  @Test func losesNothingUnderConcurrentUpdates() async {
    let metrics = Metrics()
    await withTaskGroup(of: Void.self) { group in
      for _ in 0..<8 {
        group.addTask { for _ in 0..<1000 { metrics.increment("botburrow_redis_errors_total", [("operation", "x")]) } }
      }
    }
    #expect(metrics.exposition().contains(#"botburrow_redis_errors_total{operation="x"} 8000"#))
  }

  private static let promtool = ["/usr/bin/promtool", "/usr/local/bin/promtool"].first { (path: String) in
    access(path, X_OK) == 0
  }

  /// Every described metric with a value, read by Prometheus' own linter.
  @Test(.enabled(if: promtool != nil, "promtool is not installed (apt-get install prometheus)"))
  func promtoolFindsNothingToSay() throws {
    let metrics = Metrics(seriesLimit: 2)
    for description in MetricDescription.all {
      for value in ["a", "b\"\\\n", "c"] {
        let labels = description.labels.map { ($0, value) }
        switch description.kind {
        case .counter: metrics.increment(description.name, labels)
        case .gauge: metrics.set(description.name, labels, to: 0.5)
        case .histogram: metrics.observe(description.name, labels, 0.3)
        }
      }
    }
    var template = Array("/tmp/botburrow-metrics-XXXXXX".utf8CString)
    let descriptor = mkstemp(&template)
    let path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    defer {
      close(descriptor)
      unlink(path)
    }
    let bytes = Array(metrics.exposition().utf8)
    try #require(write(descriptor, bytes, bytes.count) == bytes.count)
    let tool = try #require(Self.promtool)
    let output = try #require(popen("\(tool) check metrics < \(path) 2>&1", "r") as UnsafeMutablePointer<FILE>?)
    var said: [UInt8] = []
    var character = fgetc(output)
    while character != EOF {
      said.append(UInt8(truncatingIfNeeded: character))
      character = fgetc(output)
    }
    #expect(pclose(output) == 0 && said.isEmpty, "\(String(decoding: said, as: UTF8.self))")
  }
}
