import CShim

/// An address that the program named. Nothing is known about it: copies in and out fail with EFAULT
/// where the program may not read or write.
struct UserAddress {
  let value: UInt

  init(_ value: UInt) { self.value = value }

  func advanced(by count: Int) -> UserAddress { UserAddress(value &+ UInt(bitPattern: count)) }

  /// Copies a structure in.
  func load<Structure: BitwiseCopyable>(_ type: Structure.Type) throws(Refusal) -> Structure {
    var bytes = [UInt8](repeating: 0, count: MemoryLayout<Structure>.size)
    try copyIn(&bytes)
    return unsafe bytes.withUnsafeBytes { unsafe $0.loadUnaligned(as: Structure.self) }
  }

  /// Copies a structure out.
  func store<Structure: BitwiseCopyable>(_ structure: Structure) throws(Refusal) {
    let result = unsafe withUnsafeBytes(of: structure) { bytes in
      unsafe apus_shim_copy(
        UnsafeMutableRawPointer(bitPattern: value), bytes.baseAddress,
        MemoryLayout<Structure>.size)
    }
    if result < 0 { throw .badAddress }
  }

  func bytes(count: Int) throws(Refusal) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    try copyIn(&bytes)
    return bytes
  }

  func store(bytes: [UInt8]) throws(Refusal) {
    let result = unsafe bytes.withUnsafeBytes { bytes in
      unsafe apus_shim_copy(
        UnsafeMutableRawPointer(bitPattern: value), bytes.baseAddress, bytes.count)
    }
    if result < 0 { throw .badAddress }
  }

  private func copyIn(_ bytes: inout [UInt8]) throws(Refusal) {
    let result = unsafe bytes.withUnsafeMutableBytes { bytes in
      unsafe apus_shim_copy(
        bytes.baseAddress, UnsafeRawPointer(bitPattern: value), bytes.count)
    }
    if result < 0 { throw .badAddress }
  }
}
