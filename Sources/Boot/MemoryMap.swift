import GuestMemory

/// Where everything is that the monitor puts into guest memory before the first instruction.
///
/// The one list of these addresses; docs/memory-map.md repeats it and a test compares the two.
public enum MemoryMap {
  /// The global descriptor table of the initial state: six quadwords.
  public static let descriptorTable: UInt64 = 0x500
  /// The start structure of a thin machine, one page.
  public static let startInfo: UInt64 = 0x6000
  /// The Linux boot parameters, one page ("zero page").
  public static let bootParameters: UInt64 = 0x7000
  /// The initial stack grows down from here to the end of the boot parameters.
  public static let stackTop: UInt64 = 0x9000
  /// Six pages of page tables that map the first 4 GiB to themselves.
  public static let pageTables: UInt64 = 0x9000
  public static let pageTablesEnd: UInt64 = 0xf000
  /// The kernel's command line and the zero byte after it.
  public static let commandLine: UInt64 = 0x2_0000
  public static let commandLineEnd: UInt64 = 0x3_0000
  /// Conventional memory ends here, where PCs keep the extended BIOS data area.
  public static let conventionalMemoryEnd: UInt64 = 0x9_fc00
  /// The first byte past what the VGA frame buffer occupies on a PC.
  public static let videoMemory: UInt64 = 0xa_0000
  /// The ACPI root pointer, with the tables behind it, where systems look for it.
  public static let acpiTables: UInt64 = 0xe_0000
  /// Kernels and initial RAM disks are above this.
  public static let highMemory: UInt64 = 0x10_0000
  /// Where PCI devices answer that need to be below 4 GiB.
  public static let pciMemory: Range<UInt64> = 0xc000_0000..<0xd000_0000
  /// Virtio devices without PCI, a page each.
  public static let virtioWindows: Range<UInt64> = 0xd000_0000..<0xd010_0000
  /// The configurations of all functions of the PCI bus, 4 KiB each.
  public static let pciConfiguration: Range<UInt64> = 0xe000_0000..<0xe010_0000
  public static let ioAPIC: UInt64 = 0xfec0_0000
  public static let localAPIC: UInt64 = 0xfee0_0000

  /// One row of the map.
  package struct Row {
    package let range: Range<UInt64>
    package let contents: String
  }

  /// The map in ascending order, as docs/memory-map.md shows it.
  package static let rows: [Row] = [
    Row(range: descriptorTable..<descriptorTable + 48, contents: "descriptor table (GDT)"),
    Row(range: bootParameters..<bootParameters + 0x1000, contents: "Linux boot parameters"),
    Row(range: bootParameters + 0x1000..<stackTop, contents: "initial stack"),
    Row(range: pageTables..<pageTablesEnd, contents: "page tables"),
    Row(range: commandLine..<commandLineEnd, contents: "kernel command line"),
    Row(range: conventionalMemoryEnd..<videoMemory, contents: "reserved (EBDA on a PC)"),
    Row(range: videoMemory..<acpiTables, contents: "no RAM to use (VGA and ROMs on a PC)"),
    Row(range: acpiTables..<highMemory, contents: "ACPI tables"),
    Row(
      range: highMemory..<MemoryLayoutPC.lowMemoryLimit,
      contents: "RAM: kernel low, initial RAM disk high"),
    Row(range: pciMemory, contents: "PCI devices"),
    Row(range: virtioWindows, contents: "virtio devices without PCI"),
    Row(range: pciConfiguration, contents: "PCI configurations"),
    Row(range: ioAPIC..<ioAPIC + 0x1000, contents: "I/O APIC"),
    Row(range: localAPIC..<localAPIC + 0x1000, contents: "local APIC"),
    Row(
      range: MemoryLayoutPC.highMemoryStart..<(1 << 46),
      contents: "RAM beyond the first 3 GiB"),
  ]
}
