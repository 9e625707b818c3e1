// swift-tools-version: 6.2
import PackageDescription

/// Settings of every Swift target of ours: Swift 6 mode, no warnings, no unmarked unsafe code.
let strict: [SwiftSetting] = [
  .swiftLanguageMode(.v6),
  .strictMemorySafety(),
  .treatAllWarnings(as: .error),
  .enableUpcomingFeature("ExistentialAny"),
]

/// A library target; `imports` is the complete list of what it may import.
func module(
  _ name: String, imports: [Target.Dependency] = [], plugins: [Target.PluginUsage] = []
) -> Target {
  .target(name: name, dependencies: imports, swiftSettings: strict, plugins: plugins)
}

/// A test suite beside the target it tests.
func tests(_ name: String, imports: [Target.Dependency]) -> Target {
  .testTarget(
    name: name, dependencies: imports,
    swiftSettings: [.swiftLanguageMode(.v6), .treatAllWarnings(as: .error)])
}

/// A program in `examples`, on the typed layer.
func example(_ name: String, in folder: String, imports: [Target.Dependency] = []) -> Target {
  .executableTarget(
    name: name, dependencies: ["ExampleSupport", "KVM", "GuestMemory", "X86"] + imports,
    path: "examples/\(folder)", swiftSettings: strict)
}

let package = Package(
  name: "apus",
  products: [
    .executable(name: "apus", targets: ["apus"]),
    .library(name: "KVM", targets: ["KVM", "KVMLinux", "KVMSoft"]),
    .library(name: "apus-kvm", type: .dynamic, targets: ["KVMShim"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2")
  ],
  targets: [
    // Layer 0: what Swift cannot call, and bit fields.
    .target(name: "CLinux"),
    .systemLibrary(
      name: "CArchive", pkgConfig: "libarchive", providers: [.apt(["libarchive-dev"])]),
    module("Bits"),
    // Layer 1
    module("Host", imports: ["CLinux", "Bits"]),
    module("X86", imports: ["Bits"]),
    // Layer 2
    module("GuestMemory", imports: ["Host", "Bits"]),
    // Layer 3
    module("KVM", imports: ["GuestMemory", "X86"]),
    module("DeviceModel", imports: ["GuestMemory", "Bits"]),
    // Layer 4
    module("KVMABI", imports: ["KVM", "X86", "Host", "CLinux"]),
    module("Engine", imports: ["X86", "GuestMemory", "Host", "Bits", "CLinux"]),
    module("Chipset", imports: ["KVM", "DeviceModel", "X86", "Bits"]),
    module("PCDevices", imports: ["DeviceModel", "Bits"]),
    module("Virtio", imports: ["DeviceModel", "GuestMemory", "Bits"]),
    module("Boot", imports: ["X86", "GuestMemory", "Bits"]),
    // Layer 5
    module("KVMLinux", imports: ["KVMABI", "KVM", "GuestMemory", "X86", "Host", "CLinux"]),
    module(
      "KVMSoft",
      imports: ["KVMABI", "KVM", "Engine", "Chipset", "DeviceModel", "GuestMemory", "X86", "Host"]),
    module(
      "HostBackends",
      imports: ["Virtio", "PCDevices", "DeviceModel", "Host", "Bits", "CLinux", "CArchive"],
      plugins: ["GuestPrograms"]),
    // Compiles the guest's init and embeds it in HostBackends.
    .plugin(name: "GuestPrograms", capability: .buildTool()),
    // Layer 6
    module(
      "Machine",
      imports: [
        "KVM", "DeviceModel", "PCDevices", "Virtio", "HostBackends", "Boot", "GuestMemory", "X86",
        "Host", "Bits",
      ]),
    .target(name: "CShim", dependencies: ["CLinux"]),
    .target(
      name: "KVMShim",
      dependencies: ["KVMSoft", "KVMABI", "KVM", "Engine", "Host", "CLinux", "CShim"],
      swiftSettings: strict,
      // It goes into any process: it brings its own Swift runtime, and shows nothing but the
      // functions that it stands in for.
      linkerSettings: [
        .unsafeFlags([
          "-static-stdlib", "-Xlinker", "--version-script=Sources/CShim/exports.map",
        ])
      ]),
    // Layer 8
    .executableTarget(
      name: "apus",
      dependencies: [
        "Machine", "KVMLinux", "KVMSoft", "Engine", "KVM", "Boot", "HostBackends", "DeviceModel",
        "X86", "Host",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      swiftSettings: strict),
    // The smallest guests: examples/README.md
    .target(
      name: "ExampleSupport", dependencies: ["KVM", "KVMLinux", "KVMSoft", "GuestMemory"],
      path: "examples/Support", swiftSettings: strict),
    example("hello-real", in: "real"),
    example("hello-protected", in: "protected"),
    example("hello-paged", in: "paged"),
    example("hello-long", in: "long"),
    example("thin-machine", in: "thin", imports: ["Boot", "Virtio", "DeviceModel", "Host"]),
    // Tests
    .target(
      name: "SeededRandom", path: "Tests/SeededRandom",
      swiftSettings: [.swiftLanguageMode(.v6), .treatAllWarnings(as: .error)]),
    .target(
      name: "FakeDevices", dependencies: ["DeviceModel"], path: "Tests/FakeDevices",
      swiftSettings: strict),
    .systemLibrary(
      name: "CZydis", path: "Tests/CZydis", providers: [.apt(["libzydis-dev"])]),
    .target(name: "CNative", path: "Tests/CNative"),
    .target(name: "CKVM", path: "Tests/CKVM"),
    tests(
      "EngineTests",
      imports: ["SeededRandom", "Engine", "X86", "GuestMemory", "Host", "CZydis", "CNative"]),
    tests("ChipsetTests", imports: ["SeededRandom", "Chipset", "KVM", "DeviceModel", "X86"]),
    tests("PCDevicesTests", imports: ["SeededRandom", "FakeDevices", "PCDevices", "DeviceModel"]),
    tests(
      "VirtioTests",
      imports: ["SeededRandom", "FakeDevices", "Virtio", "DeviceModel", "GuestMemory"]),
    tests("BootTests", imports: ["SeededRandom", "Boot", "HostBackends", "GuestMemory", "X86"]),
    tests("HostBackendsTests", imports: ["SeededRandom", "HostBackends", "DeviceModel", "Host"]),
    tests("HostTests", imports: ["Host", "GuestMemory", "Bits", "X86"]),
    tests(
      "MachineTests",
      imports: [
        "Machine", "KVM", "Boot", "DeviceModel", "HostBackends", "PCDevices", "GuestMemory", "Host",
        "X86",
      ]),
    tests(
      "KVMTests",
      imports: [
        "SeededRandom", "KVM", "KVMABI", "KVMLinux", "KVMSoft", "GuestMemory", "X86", "CLinux",
        "CKVM",
      ]),
  ]
)
