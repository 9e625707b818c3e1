extension ACPIPlatform {
  /// The devices that cannot be probed for (DSDT).
  func differentiatedTable() -> [UInt8] {
    var table = ACPITable("DSDT", revision: 2)
    let off = AML.integer(UInt32(Power.off))
    let zero = AML.integer(0)
    table.append(AML.name("_S5", .package([off, off, zero, zero])).bytes)
    let devices =
      [motherboard(), Self.clock()] + serialDevices() + virtioDevices()
      + (pci.map { [Self.bridge($0)] } ?? []) + processors()
    table.append(AML.scope("_SB", devices).bytes)
    return table.finished()
  }

  /// Ports and memory that belong to no device but must not be given to one.
  private func motherboard() -> AML {
    let memory = (pci.map { [$0.configuration] } ?? []).map(AML.memory)
    return .device(
      "MBRD",
      [
        .name("_HID", .eisaIdentifier("PNP0C02")),
        .name("_CRS", .resources([.ports(Power.event, count: 16)] + memory)),
      ])
  }

  private static func clock() -> AML {
    .device(
      "RTC0",
      [
        .name("_HID", .eisaIdentifier("PNP0B00")),
        .name("_CRS", .resources([.ports(0x70, count: 2), .interrupt(8)])),
      ])
  }

  private func serialDevices() -> [AML] {
    serialPorts.prefix(9).enumerated().map { index, port in
      .device(
        "COM\(index + 1)",
        [
          .name("_HID", .eisaIdentifier("PNP0501")),
          .name("_UID", .integer(UInt32(index + 1))),
          .name("_CRS", .resources([.ports(port.base, count: 8), .interrupt(port.interrupt)])),
        ])
    }
  }

  /// Virtio devices in memory, by the identifier that Linux's driver knows.
  private func virtioDevices() -> [AML] {
    virtioWindows.enumerated().map { number, window in
      .device(
        Self.numbered("V", number),
        [
          .name("_HID", .string("LNRO0005")),
          .name("_UID", .integer(UInt32(number))),
          .name(
            "_CRS",
            .resources([.memory(window.range), .levelInterrupt(UInt32(window.interrupt))])),
        ])
    }
  }

  /// The bridge to the one PCI bus: what lies behind it, and where its devices' pins lead.
  private static func bridge(_ pci: PCIHost) -> AML {
    let pins = pci.interrupts.enumerated().map { index, line in
      let device = UInt32(index / 4) << 16 | 0xffff
      let elements = [device, UInt32(index % 4), 0, UInt32(line)]
      return AML.package(elements.map(AML.integer))
    }
    let configuration: UInt16 = 0xcf8
    return .device(
      "PCI0",
      [
        .name("_HID", .eisaIdentifier("PNP0A08")),
        .name("_CID", .eisaIdentifier("PNP0A03")),
        .name("_UID", .integer(0)),
        .name("_SEG", .integer(0)),
        .name("_BBN", .integer(0)),
        .name(
          "_CRS",
          .resources([
            .range(.buses, 0..<1, UInt16.self), .ports(configuration, count: 8),
            .range(.ports, 0..<UInt64(configuration), UInt16.self),
            .range(.ports, UInt64(configuration) + 8..<0x1_0000, UInt16.self),
            .range(.memory, pci.memory, UInt32.self), .range(.memory, pci.memory64, UInt64.self),
          ])),
        .name("_PRT", .package(pins)),
      ])
  }

  private static func numbered(_ letter: String, _ number: Int) -> String {
    let digits = String(number, radix: 16, uppercase: true)
    return letter + String(repeating: "0", count: 3 - digits.count) + digits
  }

  private func processors() -> [AML] {
    (0..<processorCount).map { identifier in
      .device(
        Self.numbered("C", identifier),
        [
          .name("_HID", .string("ACPI0007")),
          .name("_UID", .integer(UInt32(identifier))),
        ])
    }
  }
}
