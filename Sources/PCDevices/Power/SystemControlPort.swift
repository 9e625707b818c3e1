public import DeviceModel

/// Port 0x92, "system control port A": the fast way to reset and to open address line 20.
///
/// Reference: IBM PS/2 Hardware Interface Technical Reference, "System Control Port A".
public struct SystemControlPort: ByteDevice {
  private let power: @Sendable (PowerRequest) -> Void
  private let setAddressLine20: @Sendable (Bool) -> Void
  private var value: UInt8 = Self.opensLine20

  private static let resets: UInt8 = 1 << 0
  private static let opensLine20: UInt8 = 1 << 1

  public init(
    power: @escaping @Sendable (PowerRequest) -> Void,
    setAddressLine20: @escaping @Sendable (Bool) -> Void
  ) {
    (self.power, self.setAddressLine20) = (power, setAddressLine20)
  }

  public mutating func reset() { value = Self.opensLine20 }

  public mutating func readByte(_ offset: UInt64) -> UInt8 { offset == 0 ? value : 0xff }

  public mutating func writeByte(_ new: UInt8, to offset: UInt64) {
    guard offset == 0 else { return }
    let old = value
    value = new
    if (old ^ new) & Self.opensLine20 != 0 { setAddressLine20(new & Self.opensLine20 != 0) }
    // A rising edge: guests read, change the other bit, and write back.
    if ~old & new & Self.resets != 0 { power(.reset) }
  }
}

extension SystemControlPort: DeviceKind {
  public static let name = "port92"

  public struct Options: Codable, Sendable {
    public init() {}
  }

  public static func attach(_ options: Options, to board: inout Board) throws(AttachError) {
    let slot = Shared(
      SystemControlPort(power: board.power, setAddressLine20: board.setAddressLine20))
    let port = PlatformPorts.systemControlA
    try board.ports.attach(slot, named: name, at: port..<port + 1)
    board.resets.append { slot.withLock { $0.reset() } }
  }
}
