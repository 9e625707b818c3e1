import DeviceModel

/// The way from the processors to the PCI bus: function 0 of device 0, and the two ways to reach
/// the configuration of any function.
enum HostBridge {
  /// What QEMU calls its bridge without a model of hardware behind it; nobody has quirks for it.
  private static let identity = PCIIdentity(vendor: 0x1b36, device: 0x0008, classCode: 0x06_0000)

  /// The configuration address shares its ports with the reset register.
  static func attach(to board: inout Board, _ pci: PCIBus) throws(AttachError) {
    try pci.add(at: PCIAddress(device: 0), hasPin: false) { _ in
      PCIFunction.Description("host bridge", identity)
    }
    let ports = PCIConfigurationPorts(pci, narrow: Shared(ResetRegister(power: board.power)))
    try board.ports.attach(
      Shared(ports), named: "PCI configuration", at: PCIConfigurationPorts.ports)
    let window = pci.windows.configuration
    try board.memory.attach(
      Shared(PCIConfigurationWindow(pci)), named: "PCI configuration", at: window)
    board.resets.append { pci.reset() }
  }
}
