public import DeviceModel

/// The reset register of PC chip sets: bit 2 resets, bit 1 says how thoroughly.
///
/// It is the second byte of PCI's configuration address, which is written four bytes at a time:
/// only a write of that one byte means a reset.
public struct ResetRegister: BusDevice {
  private let power: @Sendable (PowerRequest) -> Void
  private var value: UInt8 = 0

  public init(power: @escaping @Sendable (PowerRequest) -> Void) { self.power = power }

  /// Offset of the register behind the configuration address.
  private static let offset = PlatformPorts.reset - PlatformPorts.configurationAddress.lowerBound

  public mutating func read(_ offset: UInt64, width: AccessWidth) -> UInt64 {
    offset == Self.offset && width == .byte ? UInt64(value) : width.mask
  }

  public mutating func write(_ value: UInt64, to offset: UInt64, width: AccessWidth) {
    guard offset == Self.offset, width == .byte else { return }
    self.value = UInt8(truncatingIfNeeded: value) & 0x0a
    if value & 0x04 != 0 { power(.reset) }
  }
}

extension ResetRegister: DeviceKind {
  public static let name = "reset"

  public struct Options: Codable, Sendable {
    public init() {}
  }

  public static func attach(_ options: Options, to board: inout Board) throws(AttachError) {
    try board.ports.attach(
      Shared(ResetRegister(power: board.power)), named: name,
      at: PlatformPorts.configurationAddress)
  }
}
