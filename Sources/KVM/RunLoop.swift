/// The devices around a processor, as its run loop sees them.
///
/// Called on the processor's thread. Values are little-endian in the low bytes; what nothing
/// answers reads as all ones.
public protocol ExitHandler {
  /// Reads 1, 2 or 4 bytes from a port.
  func readPort(_ port: UInt16, size: Int) -> UInt32
  func writePort(_ port: UInt16, value: UInt32, size: Int)
  /// Reads 1 to 8 bytes at a guest-physical address that is not RAM.
  func readMemory(_ address: UInt64, size: Int) -> UInt64
  func writeMemory(_ address: UInt64, value: UInt64, size: Int)
}

extension ExitingCPU {
  public func run(handler: some ExitHandler) throws(KVMError) -> Stop {
    while true {
      switch try run() {
      case .portRead(let port, let size):
        answer(UInt64(handler.readPort(port, size: size)))
      case .portWrite(let port, let value, let size):
        handler.writePort(port, value: value, size: size)
      case .memoryRead(let address, let size):
        answer(handler.readMemory(address, size: size))
      case .memoryWrite(let address, let value, let size):
        handler.writeMemory(address, value: value, size: size)
      case .stopped(let stop):
        return stop
      }
    }
  }
}
