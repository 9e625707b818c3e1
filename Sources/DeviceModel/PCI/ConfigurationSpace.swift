/// The 256 bytes of a function's configuration: what they are, and which bits the guest may change.
///
/// Reference: PCI Local Bus Specification 3.0, section 6.1.
struct ConfigurationSpace: Sendable {
  private(set) var bytes = [UInt8](repeating: 0, count: Self.size)
  private var writable = [UInt8](repeating: 0, count: Self.size)
  private var initial: [UInt8] = []

  static let size = 256

  /// Offsets in the header.
  enum Field {
    static let command = 0x04
    static let status = 0x06
    static let headerType = 0x0e
    static let baseAddresses = 0x10
    static let subsystem = 0x2c
    static let capabilities = 0x34
    static let interruptLine = 0x3c
    static let interruptPin = 0x3d
    /// The first byte behind the header.
    static let headerEnd = 0x40
  }

  /// Bits of the command register.
  enum Command {
    static let ports: UInt16 = 1 << 0
    static let memory: UInt16 = 1 << 1
    static let busMaster: UInt16 = 1 << 2
    static let noInterruptPin: UInt16 = 1 << 10
    static let all = ports | memory | busMaster | noInterruptPin
  }

  /// Bits of the status register.
  enum Status {
    static let interrupt: UInt8 = 1 << 3
    static let hasCapabilities: UInt8 = 1 << 4
  }

  init(_ identity: PCIIdentity, regions: [PCIRegion], pin: UInt8) {
    store(identity.vendor, at: 0)
    store(identity.device, at: 2)
    store(identity.classCode << 8 | UInt32(identity.revision), at: 8)
    store(identity.subsystemVendor, at: Field.subsystem)
    store(identity.subsystem, at: Field.subsystem + 2)
    bytes[Field.interruptPin] = pin
    allow(Command.all, at: Field.command)
    allow(UInt8.max, at: Field.interruptLine)
    allow(UInt8.max, at: 0x0c)  // cache line size, of no effect
    for region in regions { addBase(region) }
    initial = bytes
  }

  /// A base address register: its low bits say what it is, those below the size stay zero.
  private mutating func addBase(_ region: PCIRegion) {
    let offset = Field.baseAddresses + 4 * region.number
    let low = UInt32(truncatingIfNeeded: ~(region.size - 1))
    switch region.space {
    case .ports:
      bytes[offset] = 0b01
      allow(low & 0xffff, at: offset)
    case .memory: allow(low, at: offset)
    case .memory64:
      bytes[offset] = 0b100
      allow(low, at: offset)
      allow(UInt32(truncatingIfNeeded: ~(region.size - 1) >> 32), at: offset + 4)
    }
  }

  /// Adds capabilities behind the header; returns where the body of each begins.
  mutating func add(_ capabilities: [PCICapability]) -> [Int] {
    var link = Field.capabilities
    var next = Field.headerEnd
    var places: [Int] = []
    for capability in capabilities {
      precondition(next + 2 + capability.body.count <= Self.size, "too many capabilities")
      bytes[link] = UInt8(next)
      bytes[next] = capability.identifier
      for (index, byte) in capability.body.enumerated() {
        bytes[next + 2 + index] = byte
        writable[next + 2 + index] = capability.writable[index]
      }
      places.append(next + 2)
      link = next + 1
      next += (2 + capability.body.count + 3) & ~3
    }
    if !capabilities.isEmpty { bytes[Field.status] |= Status.hasCapabilities }
    initial = bytes
    return places
  }

  /// Says that the device has other functions besides this one.
  mutating func setMultifunction() {
    bytes[Field.headerType] |= 0x80
    initial[Field.headerType] |= 0x80
  }

  /// Back to the state after power-on.
  mutating func reset() { bytes = initial }

  var command: UInt16 { UInt16(bytes[Field.command]) | UInt16(bytes[Field.command + 1]) << 8 }

  /// Where the guest has put a region; `nil` while the function must not answer there.
  func base(of region: PCIRegion) -> UInt64? {
    let isOn = command & (region.space == .ports ? Command.ports : Command.memory) != 0
    let base = address(of: region)
    // Zero is what a register holds that nobody has set.
    guard isOn, base != 0, base <= UInt64.max - (region.size - 1) else { return nil }
    return base
  }

  private func address(of region: PCIRegion) -> UInt64 {
    let offset = Field.baseAddresses + 4 * region.number
    let count = region.space == .memory64 ? 8 : 4
    return (0..<count).reduce(0) { $0 | UInt64(bytes[offset + $1]) << UInt64(8 * $1) }
      & ~(region.size - 1)
  }

  /// Puts a region somewhere, as a guest's firmware would.
  mutating func setBase(of region: PCIRegion, to address: UInt64) {
    let offset = Field.baseAddresses + 4 * region.number
    write(address, width: region.space == .memory64 ? .quad : .double, at: offset)
    let bit = region.space == .ports ? Command.ports : Command.memory
    write(UInt64(command | bit | Command.busMaster), width: .word, at: Field.command)
  }

  func read(_ offset: Int, width: AccessWidth) -> UInt64 {
    (0..<width.bytes).reduce(0) { $0 | UInt64(bytes[offset + $1]) << UInt64(8 * $1) }
  }

  /// Changes bytes on the device's side.
  mutating func change(_ range: Range<Int>, _ body: (inout [UInt8]) -> Void) {
    var part = Array(bytes[range])
    body(&part)
    bytes.replaceSubrange(range, with: part)
  }

  /// Takes a write of the guest's, as far as its bits may change.
  mutating func write(_ value: UInt64, width: AccessWidth, at offset: Int) {
    for index in 0..<width.bytes {
      let byte = UInt8(truncatingIfNeeded: value >> UInt64(8 * index))
      let mask = writable[offset + index]
      bytes[offset + index] = bytes[offset + index] & ~mask | byte & mask
    }
  }

  private mutating func store<Value: FixedWidthInteger>(_ value: Value, at offset: Int) {
    for index in 0..<Value.bitWidth / 8 {
      bytes[offset + index] = UInt8(truncatingIfNeeded: value >> Value(8 * index))
    }
  }

  private mutating func allow<Value: FixedWidthInteger>(_ mask: Value, at offset: Int) {
    for index in 0..<Value.bitWidth / 8 {
      writable[offset + index] = UInt8(truncatingIfNeeded: mask >> Value(8 * index))
    }
  }
}
