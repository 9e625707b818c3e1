extension ACPIPlatform {
  /// The devices that cannot be probed for (DSDT).
  func differentiatedTable() -> [UInt8] {
    var table = ACPITable("DSDT", revision: 2)
    let off = AML.integer(UInt32(Power.off))
    let zero = AML.integer(0)
    table.append(AML.name("_S5", .package([off, off, zero, zero])).bytes)
    let devices = [Self.motherboard(), Self.clock()] + serialDevices() + processors()
    table.append(AML.scope("_SB", devices).bytes)
    return table.finished()
  }

  /// Ports that belong to no device but must not be given to one.
  private static func motherboard() -> AML {
    .device(
      "MBRD",
      [
        .name("_HID", .eisaIdentifier("PNP0C02")),
        .name(
          "_CRS", .resources([.ports(Power.event, count: 16)])),
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

  private func processors() -> [AML] {
    (0..<processorCount).map { identifier in
      let digits = String(identifier, radix: 16, uppercase: true)
      return .device(
        "C" + String(repeating: "0", count: 3 - digits.count) + digits,
        [
          .name("_HID", .string("ACPI0007")),
          .name("_UID", .integer(UInt32(identifier))),
        ])
    }
  }
}
