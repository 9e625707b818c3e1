public import DeviceModel

/// Every kind of device that people can ask for, by the name they write.
public let deviceKinds: [any DeviceKind.Type] = [
  SerialPort.self,
  KeyboardController.self,
  RealTimeClock.self,
  PowerManagement.self,
  ResetRegister.self,
  SystemControlPort.self,
  PostCode.self,
  DebugConsole.self,
]

/// Attaches what every PC has: the first serial port, the keyboard controller, the clock, power
/// management, the ports that reset and, if the board has one, the PCI bus's bridge.
public func attachPlatform(to board: inout Board) throws(AttachError) {
  try SerialPort.attach(.init(), to: &board)
  try KeyboardController.attach(.init(), to: &board)
  try RealTimeClock.attach(.init(), to: &board)
  try PowerManagement.attach(.init(), to: &board)
  if let pci = board.pci {
    try HostBridge.attach(to: &board, pci)
  } else {
    try ResetRegister.attach(.init(), to: &board)
  }
  try SystemControlPort.attach(.init(), to: &board)
  try PostCode.attach(.init(), to: &board)
}
