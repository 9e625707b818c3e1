public import DeviceModel

/// Where virtio devices in memory are. Nothing else is between the RAM below 4 GiB and the I/O APIC.
public enum VirtioWindows {
  public static let base: UInt64 = 0xd000_0000
  /// More than any machine has; the windows end below everything else.
  public static let limit = 256
  /// I/O APIC inputs that no other device of a PC uses, shared when there are more devices.
  public static let interrupts = 16..<24
}

extension Board {
  /// Puts `device` behind registers in the next free window; its board must have RAM.
  @discardableResult
  public mutating func attach<Device: VirtioDevice>(
    _ device: Device, named name: String
  ) throws(AttachError) -> Shared<VirtioMMIO<Device>> {
    guard let ram else { preconditionFailure("a board with virtio devices has RAM") }
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
    return slot
  }
}
