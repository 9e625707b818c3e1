public import GuestMemory

/// What a guest asks of the machine as a whole.
public enum PowerRequest: Hashable, Sendable {
  case reset
  case powerOff
  /// The program in the guest is done, and this is its exit status.
  case exit(UInt8)
}

/// Guest memory as the firmware of old reports it, in bytes.
public struct MemorySize: Hashable, Sendable {
  /// From address 0 up, below 4 GiB.
  public var low: UInt64
  /// From 4 GiB up.
  public var high: UInt64

  public init(low: UInt64, high: UInt64) { (self.low, self.high) = (low, high) }
}

/// A device that answers in a range of memory and has an interrupt of its own.
public struct DeviceWindow: Hashable, Sendable {
  public let name: String
  public let range: Range<UInt64>
  /// The global system interrupt.
  public let interrupt: Int

  public init(name: String, range: Range<UInt64>, interrupt: Int) {
    (self.name, self.range, self.interrupt) = (name, range, interrupt)
  }
}

/// What a machine offers its devices while it is being put together.
public struct Board: Sendable {
  public let ports: Bus
  public let memory: Bus
  public let clock: any Clock
  /// Wakes timed devices.
  public let timers: TimerQueue
  public let interrupts: any InterruptLines
  public let memorySize: MemorySize
  /// The guest's RAM, for devices that read and write it by themselves.
  public let ram: GuestMemory?
  /// Takes resets and power-offs; may be called with a device's lock held, so it only notes them.
  public let power: @Sendable (PowerRequest) -> Void
  /// Opens (`true`) and closes address line 20, as `power` is called.
  public let setAddressLine20: @Sendable (Bool) -> Void

  /// Where devices' output goes, by the device's name (`com1`); set before devices are attached.
  public var outputs: [String: any ByteSink] = [:]
  /// Devices that take bytes from the host, by name; filled by the devices.
  public var inputs: [String: any ByteReceiver] = [:]
  /// Presses the power button; set by the power-management device.
  public var pressPowerButton: @Sendable () -> Void = {}
  /// Types scan codes (set 1); set by the keyboard controller.
  public var pressKeys: @Sendable ([UInt8]) -> Void = { _ in }
  /// Devices in memory that a guest cannot find by itself, in the order they were attached.
  public var windows: [DeviceWindow] = []
  /// The PCI bus, if the machine has one; set before devices are attached.
  public var pci: PCIBus?
  /// Puts each device back into its state after power-on; filled by the devices.
  public var resets: [@Sendable () -> Void] = []

  public init(
    buses: (ports: Bus, memory: Bus), clock: any Clock, timers: TimerQueue,
    interrupts: any InterruptLines, host: Host
  ) {
    (ports, memory) = buses
    self.clock = clock
    self.timers = timers
    self.interrupts = interrupts
    (memorySize, ram, power) = (host.memorySize, host.ram, host.power)
    setAddressLine20 = host.setAddressLine20
  }

  /// What the machine around the board is like.
  public struct Host: Sendable {
    public var memorySize: MemorySize
    public var ram: GuestMemory?
    public var power: @Sendable (PowerRequest) -> Void
    public var setAddressLine20: @Sendable (Bool) -> Void

    public init(
      memorySize: MemorySize, ram: GuestMemory? = nil,
      power: @escaping @Sendable (PowerRequest) -> Void,
      setAddressLine20: @escaping @Sendable (Bool) -> Void = { _ in }
    ) {
      (self.memorySize, self.ram, self.power) = (memorySize, ram, power)
      self.setAddressLine20 = setAddressLine20
    }
  }
}

/// A kind of device that people can ask for by name, on the command line or in a configuration.
public protocol DeviceKind: SendableMetatype {
  /// The name people write.
  static var name: String { get }
  /// What people can choose; decoded from the configuration.
  associatedtype Options: Codable & Sendable
  /// Builds a device and attaches it to the board.
  static func attach(_ options: Options, to board: inout Board) throws(AttachError)
}
