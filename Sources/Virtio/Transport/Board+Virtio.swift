public import DeviceModel
import GuestMemory

/// Where virtio devices in memory are. Nothing else is between the RAM below 4 GiB and the I/O APIC.
public enum VirtioWindows {
  public static let base: UInt64 = 0xd000_0000
  /// More than any machine has; the windows end below everything else.
  public static let limit = 256
  /// I/O APIC inputs that no other device of a PC uses, shared when there are more devices.
  public static let interrupts = 16..<24
}

extension Board {
  /// Attaches `device` to the PCI bus, or to the next free window in memory where there is no PCI;
  /// its board must have RAM.
  @discardableResult
  public mutating func attach<Device: VirtioDevice>(
    _ device: Device, named name: String
  ) throws(AttachError) -> VirtioHandle<Device> {
    guard let ram else { preconditionFailure("a board with virtio devices has RAM") }
    if let pci { return try Self.attach(device, named: name, to: pci, memory: ram) }
    let number = windows.count
    guard number < VirtioWindows.limit else {
      throw .badOption(name: name, problem: "there are \(number) devices already")
    }
    let size = VirtioMMIO<Device>.size
    let base = VirtioWindows.base + UInt64(number) * size
    let lines = VirtioWindows.interrupts
    let line = lines.lowerBound + number % lines.count
    let slot = Shared(VirtioMMIO(device, memory: ram, interrupt: interrupts.line(line)))
    try memory.attach(slot, named: name, at: base..<base + size)
    windows.append(DeviceWindow(name: name, range: base..<base + size, interrupt: line))
    return VirtioHandle(slot)
  }

  private static func attach<Device: VirtioDevice>(
    _ device: Device, named name: String, to pci: PCIBus, memory: GuestMemory
  ) throws(AttachError) -> VirtioHandle<Device> {
    var handle: VirtioHandle<Device>?
    // A message for each queue, and one for the configuration.
    try pci.add(vectors: device.queueSizes.count + 1) { interrupts in
      let slot = Shared(VirtioPCI(device, memory: memory, interrupts: interrupts))
      handle = VirtioHandle(slot)
      var description = PCIFunction.Description(name, Device.pciIdentity)
      description.regions = [
        PCIRegion(PCILayout.region, .memory, size: PCILayout.size, slot: slot)
      ]
      description.capabilities = PCICapabilities.all(slot)
      description.messageRegion = PCILayout.messageRegion
      return description
    }
    guard let handle else { preconditionFailure("a function that was added was described") }
    return handle
  }
}

extension VirtioDevice {
  /// Reference: VIRTIO 1.2, section 4.1.2, "PCI Device Discovery".
  static var pciIdentity: PCIIdentity {
    PCIIdentity(
      vendor: 0x1af4, device: UInt16(0x1040 + kind), classCode: pciClass, revision: 1,
      subsystem: (0x1af4, UInt16(0x1100)))
  }
}
