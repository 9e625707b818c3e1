public import GuestMemory

/// A virtio device without its transport: what it offers, and what it does with its queues.
///
/// Like a ``BusDevice`` it is plain mutable state, called with its lock held. A new device is one
/// file with one conforming type; every transport can carry it.
public protocol VirtioDevice: Sendable {
  /// The number of the device's kind.
  ///
  /// Reference: VIRTIO 1.2, section 5.
  static var kind: UInt32 { get }

  /// What the device is on PCI: base class, subclass, interface.
  static var pciClass: UInt32 { get }

  /// The features of the device's own kind; those of queues and transports are added.
  var features: VirtioFeatures { get }

  /// The largest size of each queue, in the order of their numbers; powers of two, 64 at most.
  var queueSizes: [UInt16] { get }

  /// The configuration as the driver reads it, little-endian.
  var configuration: [UInt8] { get }

  /// Takes a byte that the driver writes into the configuration.
  mutating func writeConfiguration(_ byte: UInt8, at offset: Int)

  /// The driver is ready, and has accepted `features`.
  mutating func start(_ features: VirtioFeatures)

  /// The driver says that there is something new in queue `number`.
  mutating func serve(queue number: Int, _ queues: inout VirtioQueues) throws(QueueFault)

  /// Goes back to the state before the driver came.
  mutating func reset()
}

extension VirtioDevice {
  /// A device of no other class.
  public static var pciClass: UInt32 { 0xff_0000 }
  public var features: VirtioFeatures { [] }
  public var configuration: [UInt8] { [] }
  public mutating func writeConfiguration(_ byte: UInt8, at offset: Int) {}
  public mutating func start(_ features: VirtioFeatures) {}
  public mutating func reset() {}
}

/// The queues of a device, and what it wants its driver to know.
public struct VirtioQueues: Sendable {
  /// The RAM that chains' buffers lie in.
  public let memory: GuestMemory
  var queues: [Virtqueue]
  var isConfigurationChanged = false

  init(sizes: [UInt16], memory: GuestMemory) {
    self.memory = memory
    queues = sizes.map { Virtqueue(maximumSize: $0, memory: memory) }
  }

  public subscript(number: Int) -> Virtqueue {
    _read { yield queues[number] }
    _modify { yield &queues[number] }
  }

  /// Has the driver look at the configuration again.
  public mutating func configurationChanged() { isConfigurationChanged = true }
}

/// What a transport must tell the driver.
public struct VirtioSignals: Hashable, Sendable {
  /// Queues in which buffers were given back, a bit each.
  public internal(set) var queues: UInt64 = 0
  public internal(set) var configuration = false

  var isEmpty: Bool { queues == 0 && !configuration }
}
