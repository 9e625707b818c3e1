public import DeviceModel

/// What brings a virtio device's registers to its driver.
public protocol VirtioTransport: BusDevice {
  associatedtype Device: VirtioDevice

  /// Lets the device work with its queues for a reason on the host's side.
  mutating func perform(
    _ work: (inout Device, inout VirtioQueues) throws(QueueFault) -> Void)

  /// Changes the device on the host's side, whether or not it has a driver.
  mutating func connect(_ change: (inout Device) -> Void)
}

/// An attached virtio device, for those on the host's side who have something for its driver: a
/// disk with a finished request, a network with a packet. Any thread.
public struct VirtioHandle<Device: VirtioDevice>: Sendable {
  private let slot: any HostSide<Device>

  init<Transport: VirtioTransport>(_ slot: Shared<Transport>) where Transport.Device == Device {
    self.slot = Weakly(slot)
  }

  /// Lets the device work with its queues; nothing happens while it has no driver.
  public func perform(
    _ work: (inout Device, inout VirtioQueues) throws(QueueFault) -> Void
  ) {
    slot.perform(work)
  }

  /// Changes the device, whether or not it has a driver.
  public func connect(_ change: (inout Device) -> Void) { slot.connect(change) }
}

private protocol HostSide<Device>: Sendable {
  associatedtype Device: VirtioDevice
  func perform(_ work: (inout Device, inout VirtioQueues) throws(QueueFault) -> Void)
  func connect(_ change: (inout Device) -> Void)
}

/// A device's slot without owning it: the device often owns who holds this.
private struct Weakly<Transport: VirtioTransport>: HostSide {
  private weak let slot: Shared<Transport>?

  init(_ slot: Shared<Transport>) { self.slot = slot }

  func perform(
    _ work: (inout Transport.Device, inout VirtioQueues) throws(QueueFault) -> Void
  ) {
    slot?.withLock { $0.perform(work) }
  }

  func connect(_ change: (inout Transport.Device) -> Void) {
    slot?.withLock { $0.connect(change) }
  }
}
