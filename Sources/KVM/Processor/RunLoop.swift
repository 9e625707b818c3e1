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
  /// Model-specific accesses fault, and calls are answered with zero: who asks for those exits
  /// uses ``ExitingCPU/run()``.
  public func run(handler: some ExitHandler) throws(KVMError) -> Stop {
    while true {
      switch try run() {
      case .portRead(let port, let size, let count):
        for index in 0..<count {
          setPortElement(index, size, handler.readPort(port, size: size))
        }
      case .portWrite(let port, let value, let size, 1):
        handler.writePort(port, value: value, size: size)
      case .portWrite(let port, _, let size, let count):
        for index in 0..<count {
          handler.writePort(port, value: portElement(index, size), size: size)
        }
      case .memoryRead(let address, let size):
        answer(handler.readMemory(address, size: size))
      case .memoryWrite(let address, let value, let size):
        handler.writeMemory(address, value: value, size: size)
      case .modelSpecificRead, .modelSpecificWrite: refuse()
      case .hypercall, .hyperV: answer(0)
      case .stopped(let stop): return stop
      }
    }
  }

  /// Element `index` of the port access that ended the last run.
  public func portElement(_ index: Int, _ size: Int) -> UInt32 {
    withPortData { data in
      let range = index * size..<(index + 1) * size
      guard range.upperBound <= data.byteCount else { return 0 }
      return range.reversed().reduce(0) { value, offset in
        value << 8 | UInt32(unsafe data.bytes.unsafeLoad(fromByteOffset: offset, as: UInt8.self))
      }
    }
  }

  /// Answers element `index` of the port access that ended the last run.
  public func setPortElement(_ index: Int, _ size: Int, _ value: UInt32) {
    withPortData { data in
      guard (index + 1) * size <= data.byteCount else { return }
      for byte in 0..<size {
        let part = UInt8(truncatingIfNeeded: value >> (byte * 8))
        data.storeBytes(of: part, toByteOffset: index * size + byte, as: UInt8.self)
      }
    }
  }
}
