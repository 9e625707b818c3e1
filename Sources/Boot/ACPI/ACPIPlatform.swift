import Bits

/// The machine as its ACPI tables describe it.
public struct ACPIPlatform: Hashable, Sendable {
  /// A 16550 UART at its ISA address.
  public struct SerialPort: Hashable, Sendable {
    public let base: UInt16
    public let interrupt: UInt8

    public init(base: UInt16, interrupt: UInt8) {
      (self.base, self.interrupt) = (base, interrupt)
    }

    public static let com1 = SerialPort(base: 0x3f8, interrupt: 4)
  }

  /// A virtio device behind registers in memory, with an interrupt of its own.
  public struct VirtioWindow: Hashable, Sendable {
    public let range: Range<UInt64>
    /// The I/O APIC's input.
    public let interrupt: Int

    public init(range: Range<UInt64>, interrupt: Int) {
      (self.range, self.interrupt) = (range, interrupt)
    }
  }

  /// The PCI bus: what its devices may be given, and where their pins lead.
  public struct PCIHost: Hashable, Sendable {
    public var ports: Range<UInt64>
    public var memory: Range<UInt64>
    public var memory64: Range<UInt64>
    public var configuration: Range<UInt64>
    /// The I/O APIC's input of each pin of each device, four for a device.
    public var interrupts: [Int]

    public init(
      ports: Range<UInt64>, memory: Range<UInt64>, memory64: Range<UInt64>,
      configuration: Range<UInt64>, interrupts: [Int]
    ) {
      precondition(interrupts.count <= 31 * 4, "an AML package has 255 elements at most")
      (self.ports, self.memory, self.memory64) = (ports, memory, memory64)
      (self.configuration, self.interrupts) = (configuration, interrupts)
    }
  }

  /// Numbers of the power management registers and of the interrupt they raise.
  public enum Power {
    /// PM1a status, then enable: two words.
    public static let event: UInt16 = 0x600
    /// PM1a control: one word.
    public static let control: UInt16 = 0x604
    /// The free-running timer: 32 bits at 3.579545 MHz, of which the guest uses 24.
    public static let timer: UInt16 = 0x608
    /// The system control interrupt, level-triggered and active high.
    public static let interrupt: UInt8 = 9
    /// What the guest writes to the sleep-type field of PM1a control to power off.
    public static let off: UInt8 = 5
    public static let resetPort: UInt16 = 0xcf9
    public static let resetValue: UInt8 = 6
    /// The CMOS byte that holds the century.
    public static let centuryRegister: UInt8 = 0x32
  }

  /// Local APIC identifiers are the numbers below this.
  public var processorCount: Int
  public var serialPorts: [SerialPort]

  public var virtioWindows: [VirtioWindow] = []
  public var pci: PCIHost?

  public init(processorCount: Int, serialPorts: [SerialPort] = [.com1]) {
    self.processorCount = processorCount
    self.serialPorts = serialPorts
  }

  /// The bytes to put at `address`: the root pointer, and behind it every table.
  public func tables(at address: UInt64) throws(BootError) -> [UInt8] {
    // Device names are a letter and three digits.
    guard (1...4096).contains(processorCount) else { throw .tooManyProcessors(processorCount) }
    var area = ACPIArea(address: address)
    let facs = area.place(Self.firmwareControl(), alignment: 64)
    let dsdt = area.place(differentiatedTable())
    let fadt = area.place(Self.fixedTable(firmwareControl: facs, differentiated: dsdt))
    let madt = area.place(interruptTable())
    var roots = [fadt, madt]
    if let pci { roots.append(area.place(Self.configurationTable(pci))) }
    let rsdt = area.place(Self.rootTable("RSDT", UInt32.self, roots))
    let xsdt = area.place(Self.rootTable("XSDT", UInt64.self, roots))
    area.setRootPointer(rsdt: rsdt, xsdt: xsdt)
    guard area.bytes.count <= Int(MemoryMap.highMemory - MemoryMap.acpiTables) else {
      throw .tooManyProcessors(processorCount)
    }
    return area.bytes
  }

  private static func rootTable<Pointer: FixedWidthInteger>(
    _ signature: String, _ type: Pointer.Type, _ tables: [UInt64]
  ) -> [UInt8] {
    var table = ACPITable(signature, revision: 1)
    for address in tables { table.append(Pointer(truncatingIfNeeded: address)) }
    return table.finished()
  }
}

/// The tables one behind the other, the root pointer first.
private struct ACPIArea {
  let address: UInt64
  private(set) var bytes = [UInt8](repeating: 0, count: 64)

  init(address: UInt64) { self.address = address }

  /// Appends a table; returns its guest-physical address.
  mutating func place(_ table: [UInt8], alignment: Int = 16) -> UInt64 {
    while bytes.count % alignment != 0 { bytes.append(0) }
    defer { bytes += table }
    return address + UInt64(bytes.count)
  }

  /// Reference: ACPI specification 6.5, section 5.2.5.3.
  mutating func setRootPointer(rsdt: UInt64, xsdt: UInt64) {
    var pointer: [UInt8] = Array("RSD PTR \0APUS  ".utf8) + [2]
    pointer.append(little: UInt32(truncatingIfNeeded: rsdt))
    pointer.append(little: UInt32(36))
    pointer.append(little: xsdt)
    pointer += [0, 0, 0, 0]
    pointer[8] = ACPITable.checksum(pointer[0..<20])
    pointer[32] = ACPITable.checksum(pointer[...])
    bytes.replaceSubrange(0..<pointer.count, with: pointer)
  }
}
