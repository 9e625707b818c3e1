import DeviceModel
import KVM

/// The devices of a machine as its processors reach them.
struct MachineBuses: ExitHandler {
  let ports: Bus
  let memory: Bus
  /// Called after each port write with no device's lock held: waits for a slow reader of output.
  let afterWrite: @Sendable () -> Void

  func readPort(_ port: UInt16, size: Int) -> UInt32 {
    UInt32(truncatingIfNeeded: read(ports, UInt64(port), size: size))
  }

  func writePort(_ port: UInt16, value: UInt32, size: Int) {
    write(ports, UInt64(value), to: UInt64(port), size: size)
    afterWrite()
  }

  func readMemory(_ address: UInt64, size: Int) -> UInt64 {
    read(memory, address, size: size)
  }

  func writeMemory(_ address: UInt64, value: UInt64, size: Int) {
    write(memory, value, to: address, size: size)
  }

  /// Sizes that no single bus access has (3, 5, 6, 7) are made of bytes.
  private func read(_ bus: Bus, _ address: UInt64, size: Int) -> UInt64 {
    if let width = AccessWidth(bytes: size) { return bus.read(address, width: width) }
    var value: UInt64 = 0
    for index in 0..<UInt64(min(max(size, 0), 8)) {
      value |= bus.read(address &+ index, width: .byte) << (8 * index)
    }
    return value
  }

  private func write(_ bus: Bus, _ value: UInt64, to address: UInt64, size: Int) {
    if let width = AccessWidth(bytes: size) {
      bus.write(value, to: address, width: width)
      return
    }
    for index in 0..<UInt64(min(max(size, 0), 8)) {
      bus.write(value >> (8 * index) & 0xff, to: address &+ index, width: .byte)
    }
  }
}
