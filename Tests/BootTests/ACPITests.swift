import Boot
import Foundation
import Testing

/// A table in the bytes that go to `base`, as an operating system would look for it.
private struct TableArea {
  let base: UInt64
  let bytes: [UInt8]

  func number(_ offset: Int, size: Int) -> UInt64 {
    (0..<size).reduce(0) { $0 | UInt64(bytes[offset + $1]) << UInt64(8 * $1) }
  }

  func table(at address: UInt64) -> [UInt8] {
    let offset = Int(address - base)
    return Array(bytes[offset..<offset + Int(number(offset + 4, size: 4))])
  }

  /// Every table that is reached from the root pointer, by signature.
  func all() -> [String: [UInt8]] {
    let root = table(at: number(24, size: 8))
    var found = ["XSDT": root, "RSDT": table(at: number(16, size: 4))]
    for entry in stride(from: 36, to: root.count, by: 8) {
      let address = (0..<8).reduce(UInt64(0)) { $0 | UInt64(root[entry + $1]) << UInt64(8 * $1) }
      let bytes = table(at: address)
      found[String(decoding: bytes[0..<4], as: UTF8.self)] = bytes
    }
    if let fixed = found["FACP"] {
      let offset = { (at: Int) in
        (0..<4).reduce(UInt64(0)) { $0 | UInt64(fixed[at + $1]) << UInt64(8 * $1) }
      }
      found["FACS"] = table(at: offset(36))
      found["DSDT"] = table(at: offset(40))
    }
    return found
  }
}

/// The tables of a machine with a PCI bus and virtio devices in memory; the bus is left out of one
/// with a single processor.
private func area(processors: Int) throws -> TableArea {
  var platform = ACPIPlatform(processorCount: processors)
  platform.virtioWindows = (0..<2).map {
    .init(range: 0xd000_0000 + $0 << 12..<0xd000_1000 + $0 << 12, interrupt: 16 + Int($0))
  }
  if processors > 1 {
    platform.pci = .init(
      ports: 0xc000..<0x1_0000, memory: MemoryMap.pciMemory, memory64: 1 << 32..<1 << 38,
      configuration: MemoryMap.pciConfiguration, interrupts: (0..<124).map { 16 + $0 % 8 })
  }
  return TableArea(base: 0xe_0000, bytes: try platform.tables(at: 0xe_0000))
}

@Test(arguments: [1, 2, 64, 300])
func `the tables are found from the root pointer and add up to zero`(processors: Int) throws {
  let area = try area(processors: processors)

  let tables = area.all()

  #expect(Array(area.bytes[0..<8]) == Array("RSD PTR ".utf8))
  #expect(area.bytes[0..<20].reduce(0, &+) == 0)
  #expect(area.bytes[0..<36].reduce(0, &+) == 0)
  #expect(
    Set(tables.keys)
      == Set(["XSDT", "RSDT", "FACP", "APIC", "DSDT", "FACS"]).union(processors > 1 ? ["MCFG"] : [])
  )
  for (name, bytes) in tables where name != "FACS" {
    #expect(bytes.reduce(0, &+) == 0, "checksum of \(name)")
  }
}

@Test func `processors above 254 are listed by x2APIC identifier`() throws {
  let table = try #require(try area(processors: 300).all()["APIC"])
  var counts: [UInt8: Int] = [:]
  var offset = 44

  while offset < table.count {
    counts[table[offset], default: 0] += 1
    offset += Int(table[offset + 1])
  }

  #expect(offset == table.count)
  #expect(counts == [0: 255, 9: 45, 1: 1, 2: 2, 4: 1, 10: 1])
}

@Test func `more processors than the tables have room for are refused`() {
  #expect(throws: BootError.tooManyProcessors(0)) { try area(processors: 0) }
  #expect(throws: BootError.tooManyProcessors(5000)) { try area(processors: 5000) }
}

@Test(
  .enabled(if: FileManager.default.fileExists(atPath: "/usr/bin/iasl"), "iasl is not installed"),
  arguments: [1, 300])
func `iasl reads the tables and compiles them again without a complaint`(processors: Int) throws {
  let tables = try area(processors: processors).all()

  for (name, bytes) in tables where name != "RSDT" {
    try withTemporaryDirectory { directory in
      let binary = directory.appending(path: "\(name).aml")
      let source = directory.appending(path: "\(name).dsl")
      try Data(bytes).write(to: binary)
      let decompiled = try run("/usr/bin/iasl", ["-d", binary.path])
      #expect(decompiled.status == 0, "\(name): \(decompiled.output)")
      #expect(!decompiled.output.lowercased().contains("warning"), "\(decompiled.output)")
      let text = try String(contentsOf: source, encoding: .utf8)
      #expect(!text.contains("Incorrect checksum") && !text.contains("Invalid"), "\(text)")
      let compiled = try run("/usr/bin/iasl", ["-p", directory.path + "/again", source.path])
      #expect(compiled.status == 0, "\(name): \(compiled.output)")
      #expect(!compiled.output.contains("Warning  "), "\(name): \(compiled.output)")
      let again = try [UInt8](Data(contentsOf: directory.appending(path: "again.aml")))
      #expect(again.count == bytes.count, "\(name) keeps its size when compiled again")
    }
  }
}
