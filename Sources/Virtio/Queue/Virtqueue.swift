public import GuestMemory

/// A split virtqueue, as the device sees it: descriptor table, available ring, used ring.
///
/// The rings are the guest's memory, which it may change at any moment: every number in them is
/// read once and checked before it is believed.
///
/// Reference: VIRTIO 1.2, section 2.7, "Split Virtqueues".
public struct Virtqueue: Sendable {
  /// The largest size the driver may choose; a power of two.
  public let maximumSize: UInt16
  /// How many descriptors the queue has.
  public private(set) var size: UInt16
  /// Whether the driver has set the queue up.
  public private(set) var isReady = false
  /// Where the driver has put the three parts.
  public private(set) var addresses = Addresses()

  let memory: GuestMemory
  var hasIndirectTables = false
  var hasEventIndex = false
  /// The count of chains taken, modulo 2¹⁶.
  var taken: UInt16 = 0
  /// The count of chains given back, modulo 2¹⁶.
  var used: UInt16 = 0
  /// The count of chains given back that the driver knows of.
  var signalled: UInt16 = 0
  /// The available index at which the driver was asked to notify last.
  var awaited: UInt16 = 0

  /// Guest-physical addresses of a queue's parts, in the order of the specification.
  public struct Addresses: Hashable, Sendable {
    public var descriptors: UInt64 = 0
    public var available: UInt64 = 0
    public var used: UInt64 = 0

    public init() {}
  }

  public init(maximumSize: UInt16, memory: GuestMemory) {
    precondition(
      maximumSize.nonzeroBitCount == 1 && maximumSize <= 1 << 15, "a queue's size is a power of two"
    )
    self.maximumSize = maximumSize
    self.memory = memory
    size = maximumSize
  }

  /// Chooses the size; has no effect on a queue that is ready.
  public mutating func setSize(_ size: UInt16) {
    if !isReady { self.size = size }
  }

  /// Chooses the addresses; has no effect on a queue that is ready.
  public mutating func setAddresses(_ change: (inout Addresses) -> Void) {
    if !isReady { change(&addresses) }
  }

  /// Starts the queue. It stays as it is when its size or its addresses make no sense.
  mutating func start(_ features: VirtioFeatures) {
    guard !isReady, size.nonzeroBitCount == 1, size <= maximumSize, hasSoundAddresses else {
      return
    }
    hasIndirectTables = features.contains(.indirectDescriptors)
    hasEventIndex = features.contains(.eventIndex)
    (taken, used, signalled, awaited) = (0, 0, 0, 0)
    isReady = true
  }

  /// Stops the queue; the driver may change it again.
  mutating func stop() { isReady = false }

  /// Makes the queue as it was at first.
  mutating func reset() { self = Virtqueue(maximumSize: maximumSize, memory: memory) }

  private var hasSoundAddresses: Bool {
    addresses.descriptors % 16 == 0 && addresses.available % 2 == 0 && addresses.used % 4 == 0
      && isRAM(addresses.descriptors, count: Int(size) * Descriptor.size)
      && isRAM(addresses.available, count: 4 + Int(size) * 2 + 2)
      && isRAM(addresses.used, count: 4 + Int(size) * 8 + 2)
  }

  func isRAM(_ address: UInt64, count: Int) -> Bool {
    unsafe memory.hostAddress(of: address, count: count) != nil
  }
}
