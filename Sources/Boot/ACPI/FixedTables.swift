import Bits

extension ACPIPlatform {
  /// The firmware control structure: a lock word that no firmware contends for.
  ///
  /// Reference: ACPI specification 6.5, section 5.2.10.
  static func firmwareControl() -> [UInt8] {
    var table: [UInt8] = Array("FACS".utf8)
    table.append(little: UInt32(64))
    table += [UInt8](repeating: 0, count: 56)
    table[32] = 2  // version
    return table
  }

  /// What the fixed table's flags say of this machine.
  ///
  /// Reference: ACPI specification 6.5, table 5.10.
  private static let features: UInt32 =
    1 << 0  // WBINVD works
    | 1 << 2  // every processor can halt
    | 1 << 4 | 1 << 5  // no power and no sleep button among the fixed registers
    | 1 << 10  // the reset register works

  /// The boot architecture: ISA devices, but no keyboard controller and no VGA to probe for.
  ///
  /// Reference: ACPI specification 6.5, table 5.11.
  private static let architecture: UInt16 =
    1 << 0  // devices on the ISA bus
    | 1 << 2  // no VGA
    | 1 << 4  // leave PCI Express power management alone

  /// The fixed table (FADT), field by field. ACPI is always on: there is no SMI to turn it on.
  ///
  /// Reference: ACPI specification 6.5, table 5.9.
  static func fixedTable(firmwareControl: UInt64, differentiated: UInt64) -> [UInt8] {
    var table = ACPITable("FACP", revision: 6)
    table.append(UInt32(truncatingIfNeeded: firmwareControl))
    table.append(UInt32(truncatingIfNeeded: differentiated))
    table.append([0, 0])  // reserved; unspecified profile
    table.append(UInt16(Power.interrupt))
    table.append(zeros: 8)  // SMI command port and its values
    for port in [Power.event, 0, Power.control, 0, 0, Power.timer, 0, 0] {
      table.append(UInt32(port))
    }
    table.append([4, 2, 0, 4, 0, 0, 0, 0])  // lengths of the blocks above; no C-state control
    table.append(UInt16(101))  // latencies that say: no C2, no C3
    table.append(UInt16(1001))
    table.append(zeros: 8)  // cache flush, duty cycle, alarms
    table.append(Power.centuryRegister)
    table.append(architecture)
    table.append(UInt8(0))
    table.append(features)
    table.append(port: Power.resetPort, width: 1)
    table.append(Power.resetValue)
    table.append([0, 0, 0])  // ARM boot flags; minor version
    table.append(UInt64(0))  // the 32-bit address of the control structure is enough
    table.append(differentiated)
    table.append(port: Power.event, width: 4)
    table.append(zeros: 12)
    table.append(port: Power.control, width: 2)
    table.append(zeros: 24)
    table.append(port: Power.timer, width: 4)
    table.append(zeros: 12 * 4)  // general-purpose events; sleep registers of reduced hardware
    table.append(Array("APUS\0\0\0\0".utf8))
    return table.finished()
  }

  /// The interrupt controllers (MADT).
  ///
  /// Reference: ACPI specification 6.5, section 5.2.12.
  func interruptTable() -> [UInt8] {
    let hasLegacyPICs: UInt32 = 1
    var table = ACPITable("APIC", revision: 5)
    table.append(UInt32(truncatingIfNeeded: MemoryMap.localAPIC))
    table.append(hasLegacyPICs)
    for identifier in 0..<processorCount { Self.appendProcessor(identifier, to: &table) }
    table.append([1, 12, 0, 0])  // the I/O APIC with identifier 0, for interrupts from 0
    table.append(UInt32(truncatingIfNeeded: MemoryMap.ioAPIC))
    table.append(UInt32(0))
    Self.appendOverride(source: 0, target: 2, flags: 0, to: &table)
    let activeHighLevel: UInt16 = 0b1101
    Self.appendOverride(
      source: Power.interrupt, target: UInt32(Power.interrupt), flags: activeHighLevel, to: &table)
    table.append([4, 6, 0xff, 0, 0, 1])  // NMI on LINT1 of every local APIC
    if processorCount > 255 {
      table.append([0x0a, 12, 0, 0, 0xff, 0xff, 0xff, 0xff, 1, 0, 0, 0])
    }
    return table.finished()
  }

  /// Identifiers above 254 exist only in x2APIC mode.
  private static func appendProcessor(_ identifier: Int, to table: inout ACPITable) {
    let enabled: UInt32 = 1
    if identifier < 255 {
      table.append([0, 8, UInt8(identifier), UInt8(identifier)])
      table.append(enabled)
    } else {
      table.append([9, 16, 0, 0])
      table.append(UInt32(identifier))
      table.append(enabled)
      table.append(UInt32(identifier))
    }
  }

  private static func appendOverride(
    source: UInt8, target: UInt32, flags: UInt16, to table: inout ACPITable
  ) {
    table.append([2, 10, 0, source])
    table.append(target)
    table.append(flags)
  }

  /// Where PCI configurations are in memory (MCFG).
  ///
  /// Reference: PCI Firmware Specification 3.3, section 4.1.2.
  static func configurationTable(_ pci: PCIHost) -> [UInt8] {
    var table = ACPITable("MCFG", revision: 1)
    table.append(zeros: 8)
    table.append(pci.configuration.lowerBound)
    // Segment 0, buses 0 to 0.
    table.append(zeros: 2 + 1 + 1 + 4)
    return table.finished()
  }
}
