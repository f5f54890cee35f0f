// swift-tools-version: 6.2
// The target graph mirrors the data flow; arrows point down only (see docs/architecture.md).
import PackageDescription

let strict: [SwiftSetting] = [.treatAllWarnings(as: .error)]

let nio: Target.Dependency = .product(name: "NIOCore", package: "swift-nio")
let nioPosix: Target.Dependency = .product(name: "NIOPosix", package: "swift-nio")
let nioHTTP: Target.Dependency = .product(name: "NIOHTTP1", package: "swift-nio")
let log: Target.Dependency = .product(name: "Logging", package: "swift-log")
let crypto: Target.Dependency = .product(name: "Crypto", package: "swift-crypto")
let arguments: Target.Dependency = .product(name: "ArgumentParser", package: "swift-argument-parser")

// PID 1 of every sandbox: no heap, no libc, no runtime. These flags make a heap use a compile error.
let freestandingSwift: [SwiftSetting] = [
  .treatAllWarnings(as: .error),
  .enableExperimentalFeature("Embedded"),
  .unsafeFlags([
    "-parse-as-library", "-wmo", "-Osize", "-no-static-stdlib", "-no-static-executable", "-no-allocations",
    "-Xfrontend", "-function-sections", "-Xfrontend", "-disable-stack-protector",
  ]),
]
let freestandingLink: [LinkerSetting] = [
  .unsafeFlags(["-Xclang-linker", "-static", "-Xclang-linker", "-nostdlib", "-Xlinker", "--gc-sections"])
]

func room(
  _ name: String, _ dependencies: [Target.Dependency] = [], path: String? = nil, resources: [Resource] = []
) -> Target {
  .target(name: name, dependencies: dependencies, path: path, resources: resources, swiftSettings: strict)
}
func tests(_ name: String, _ dependencies: [Target.Dependency] = [], exclude: [String] = []) -> Target {
  .testTarget(name: name, dependencies: dependencies, exclude: exclude, swiftSettings: strict)
}

let package = Package(
  name: "botburrow",
  products: [
    .executable(name: "botburrow", targets: ["botburrow"]),
    .executable(name: "botburrow-init", targets: ["Init"]),
    .executable(name: "botburrow-agent", targets: ["Agent"]),
    .executable(name: "botburrow-hostile", targets: ["botburrow-hostile"]),
    .executable(name: "hostile-probe", targets: ["hostile-probe"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
    .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
    .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
  ],
  targets: [
    // C libraries and shims
    .target(name: "CLinux"),
    .systemLibrary(name: "CSeccomp"),
    .systemLibrary(name: "CCap"),
    .systemLibrary(name: "CHiredis"),
    .systemLibrary(name: "CCurl"),
    .systemLibrary(name: "CYAML"),
    .target(name: "CPlan"),
    .target(
      name: "CInit",
      cSettings: [
        .unsafeFlags(["-Os", "-ffreestanding", "-fno-builtin", "-fno-stack-protector", "-ffunction-sections"])
      ]),

    // Leaves
    room("JSONText"),
    room("EventStream"),
    room("JSON", ["JSONText"]),
    room("YAML", ["CYAML"]),
    room("Addresses"),
    room("Linux", ["CLinux", "CSeccomp", "CCap"]),
    room("HTTPClient", ["CCurl"]),
    room("Observe", ["JSONText", "HTTPServer", log]),
    room("HTTPServer", ["JSONText", nio, nioPosix, nioHTTP]),

    // What the system reads
    room("Configuration", ["YAML"]),
    room("Agents", ["YAML", "Configuration", "Addresses"]),
    room("Bucket", ["Agents", "HTTPClient", crypto]),
    room("Hub", ["JSON", "HTTPClient"]),

    // Work and where it runs
    room("Redis", ["CHiredis"]),
    room(
      "Work", ["Redis", "JSON"],
      resources: [.embedInCode("Scripts")]),
    room("Sandbox", ["Linux", "CLinux", "CPlan", "JSON", "YAML", crypto]),
    .executableTarget(
      name: "Init", dependencies: ["CInit", "CPlan"], swiftSettings: freestandingSwift, linkerSettings: freestandingLink
    ),

    // The native loop: its rules, and the program that runs inside sandboxes. Linked with everything it needs, so that it
    // starts in any root and in a millisecond; so it uses no library of the system and no Foundation.
    room("AgentLoop", ["JSONText", "EventStream"]),
    .executableTarget(
      name: "Agent", dependencies: ["AgentLoop", "JSONText", "EventStream", "CLinux"], swiftSettings: strict,
      linkerSettings: [.unsafeFlags(["-static-executable"])]),

    room("Learn", ["Linux", "CLinux", "Sandbox", "JSON"]),

    // The daemons
    room(
      "Gateway",
      [
        "JSON", "EventStream", "HTTPServer", "HTTPClient", "Hub", "Agents", "Addresses", "Observe", log, crypto, nio,
        nioPosix,
      ]),
    room(
      "ModelGateway",
      ["JSONText", "EventStream", "HTTPServer", "HTTPClient", "Configuration", "Agents", "Observe", log]),
    room("Executors", ["Agents", "AgentLoop", "Configuration", "JSON"]),
    room("Coordinator", ["Work", "Redis", "Hub", "Agents", "Configuration", "Observe", "JSON", log]),
    room(
      "Runner",
      [
        "Work", "Redis", "Hub", "Agents", "Configuration", "Observe", "JSON", "Linux", "Sandbox", "Gateway",
        "ModelGateway",
        "AgentLoop", "Executors", "HTTPServer", "HTTPClient", log,
      ]),
    room("Doctor", ["Linux", "JSON"]),
    room("LocalHub", ["JSON", "HTTPServer", "Observe", crypto]),
    .executableTarget(
      name: "botburrow",
      dependencies: [
        "Coordinator", "Runner", "ModelGateway", "Sandbox", "LocalHub", "Configuration", "Agents", "Bucket", "Observe",
        "Linux",
        "HTTPServer",
        "HTTPClient", "Redis", "Work", "Hub", "Executors", "Gateway", "JSON", "Learn", "Doctor", arguments, log,
      ], swiftSettings: strict),

    .executableTarget(
      name: "botburrow-bench", dependencies: ["Sandbox", "Linux", "JSON"], path: "Benchmarks/Spawn",
      swiftSettings: strict),

    .executableTarget(
      name: "botburrow-bench-mcp", dependencies: ["Gateway", "Agents", "Linux", "JSON"], path: "Benchmarks/MCP",
      swiftSettings: strict),

    .executableTarget(
      name: "botburrow-bench-model-serve", dependencies: ["ModelGateway", "Configuration"],
      path: "Benchmarks/ModelServe",
      swiftSettings: strict),
    .executableTarget(name: "botburrow-bench-model", path: "Benchmarks/ModelLoad"),

    .executableTarget(
      name: "botburrow-bench-queue", dependencies: ["Work", "Redis", "HTTPServer"], path: "Benchmarks/Queue",
      exclude: ["peers.py", "latency.py"], swiftSettings: strict),

    .executableTarget(name: "botburrow-floor", path: "Benchmarks/Floor"),
    // Runs in the machine that `make machine` boots.
    .executableTarget(
      name: "botburrow-machine", dependencies: ["Sandbox", "Linux", "JSON"], path: "Tests/Machine",
      exclude: ["Guest"], swiftSettings: strict),

    .executableTarget(
      name: "botburrow-soak", dependencies: ["Sandbox", "Linux", "CLinux", "Leftovers"], path: "Tests/Soak",
      swiftSettings: strict),

    // `make chaos`: the whole system, broken at random while it answers.
    room(
      "Chaos", ["Addresses", "Linux", "CLinux", "Leftovers", "Parts", "Redis", "JSON", "HTTPClient"],
      path: "Tests/Chaos"),
    .executableTarget(
      name: "botburrow-chaos", dependencies: ["Chaos", "JSON", arguments], path: "Tests/ChaosCommand",
      swiftSettings: strict),
    tests("ChaosTests", ["Chaos", "Parts", "Linux", "Leftovers"]),

    // `make failover`: leaders killed, ended and stopped, timed and judged by what Redis was told.
    room("Failover", ["Parts", "Linux", "CLinux", "Redis", "JSON", "HTTPClient"], path: "Tests/Failover"),
    .executableTarget(
      name: "botburrow-failover", dependencies: ["Failover", "JSON", arguments], path: "Tests/FailoverCommand",
      swiftSettings: strict),
    tests("FailoverTests", ["Failover", "Parts", "Linux", "Leftovers"]),
    // Real daemons of a system under test.
    room("Parts", ["Linux", "JSON", "Observe"], path: "Tests/Parts"),

    // Tests: one folder a target
    .target(
      name: "TestSupport", dependencies: ["CLinux", "JSON", "Redis", "Hub"], path: "Tests/TestSupport",
      swiftSettings: strict),
    // Stands in for the model providers.
    room("ModelStandIn", ["HTTPServer", "JSON"], path: "Tests/ModelStandIn"),
    .executableTarget(
      name: "botburrow-model-standin", dependencies: ["ModelStandIn", "JSON"], path: "Tests/ModelStandInCommand",
      swiftSettings: strict),
    // `make tools`: the real tools, through the whole system.
    .executableTarget(
      name: "botburrow-tools", dependencies: ["ModelStandIn", "HTTPClient", "HTTPServer", "JSON", "Linux"],
      path: "Tests/Tools",
      swiftSettings: strict),
    tests("ModelStandInTests", ["ModelStandIn", "HTTPClient", "JSON"]),
    tests("JSONTests", ["JSON"]),
    tests("EventStreamTests", ["EventStream"]),
    tests("YAMLTests", ["YAML"]),
    tests("AddressesTests", ["Addresses"]),
    room("Leftovers", ["JSON", "Linux"], path: "Tests/Leftovers"),
    tests("LinuxTests", ["Linux", "CLinux", "TestSupport"]),
    .testTarget(
      name: "SandboxTests",
      dependencies: ["Sandbox", "Linux", "CLinux", "CPlan", "JSON", "YAML", "HTTPServer", "TestSupport", "Leftovers"],
      exclude: ["Golden"],
      swiftSettings: strict),
    tests("LearnTests", ["Learn", "Sandbox", "CLinux", "Linux", "JSON", "YAML", "TestSupport"]),
    tests("DoctorTests", ["Doctor", "JSON"]),
    tests("RedisTests", ["Redis", "TestSupport"]),
    tests("WorkTests", ["Work", "Redis", "JSON", "TestSupport"]),
    tests("HTTPClientTests", ["HTTPClient", "HTTPServer", "TestSupport"]),
    tests("HTTPServerTests", ["HTTPServer", "HTTPClient", "TestSupport"]),
    tests("HubTests", ["Hub", "HTTPClient", "HTTPServer", "JSON", "TestSupport"]),
    tests("LocalHubTests", ["LocalHub", "Hub", "HTTPClient", "HTTPServer", "JSON", "TestSupport"]),
    tests("AgentsTests", ["Agents", "Bucket", "Configuration", "YAML", "HTTPClient", "TestSupport"]),
    tests("ConfigurationTests", ["Configuration", "YAML", "TestSupport"]),
    tests("ObserveTests", ["Observe", "HTTPServer", "JSON", "TestSupport"]),
    tests(
      "GatewayTests",
      [
        "Gateway", "EventStream", "Agents", "Addresses", "Hub", "HTTPClient", "HTTPServer", "Linux", "Observe", "JSON",
        "TestSupport",
      ]),
    tests(
      "ModelGatewayTests",
      [
        "ModelGateway", "EventStream", "ModelStandIn", "Agents", "Configuration", "HTTPClient", "HTTPServer", "Observe",
        "JSON",
      ]),
    tests(
      "CoordinatorTests",
      ["Coordinator", "Work", "Redis", "Hub", "Agents", "Configuration", "Observe", "JSON", "TestSupport", log]),
    tests(
      "RunnerTests",
      [
        "Runner", "Work", "Redis", "Hub", "Agents", "Configuration", "Observe", "JSON", "Sandbox", "Gateway",
        "ModelGateway", "ModelStandIn",
        "Executors", "HTTPServer", "HTTPClient", "LocalHub", "Linux", "Addresses", "TestSupport",
      ]),
    tests(
      "AgentLoopTests",
      ["AgentLoop", "EventStream", "JSONText", "JSON", "Linux", "HTTPServer", "ModelStandIn", "TestSupport"]),
    tests(
      "ExecutorsTests", ["Executors", "Agents", "AgentLoop", "Configuration", "JSON", "Linux", "TestSupport"],
      exclude: ["Golden"]),
    tests(
      "AcceptanceTests",
      [
        "JSON", "HTTPClient", "HTTPServer", "Redis", "Work", "Hub", "Linux", "Sandbox", "TestSupport", "Agents",
        "Executors", "ModelStandIn",
      ]),
    // The hostile suite: its program runs inside, with nothing of ours beside it; its command runs where no toolchain is.
    .executableTarget(
      name: "hostile-probe", path: "Tests/HostileProbe",
      cSettings: [
        .define("_GNU_SOURCE"), .enableWarning("all"), .enableWarning("extra"), .treatAllWarnings(as: .error),
      ],
      // No library of Swift's: inside are only the host's.
      linkerSettings: [.unsafeFlags(["-static-stdlib"])]),
    .target(
      name: "Hostile", dependencies: ["JSON", "Linux", "Sandbox", "Addresses", "Gateway", "HTTPServer"],
      path: "Tests/Hostile", swiftSettings: strict),
    .executableTarget(
      name: "botburrow-hostile", dependencies: ["Hostile", "JSON", arguments], path: "Tests/HostileCommand",
      swiftSettings: strict),
    tests("HostileTests", ["Hostile", "Sandbox", "Linux"]),
  ],
  swiftLanguageModes: [.v6],
  cLanguageStandard: .gnu11
)
