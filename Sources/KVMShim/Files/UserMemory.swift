import CShim
import KVM

/// An address that the program named. Nothing is known about it: copies in and out fail with EFAULT
/// where the program may not read or write.
struct UserAddress {
  let value: UInt

  init(_ value: UInt) { self.value = value }

  func advanced(by count: Int) -> UserAddress { UserAddress(value &+ UInt(bitPattern: count)) }

  /// Copies a structure in.
  func load<Structure>(_ type: Structure.Type) throws(KVMError) -> Structure {
    let bytes = try bytes(count: MemoryLayout<Structure>.size)
    // C's structures are plain bytes; those with unions do not say so.
    return unsafe bytes.withUnsafeBytes { bytes in
      unsafe withUnsafeTemporaryAllocation(of: Structure.self, capacity: 1) { place in
        unsafe UnsafeMutableRawBufferPointer(place).copyMemory(from: bytes)
        return unsafe place[0]
      }
    }
  }

  /// Copies structures in that lie one after the other.
  func load<Structure>(
    _ type: Structure.Type, count: Int
  ) throws(KVMError) -> [Structure] {
    if count == 0 { return [] }
    let bytes = try bytes(count: count * MemoryLayout<Structure>.stride)
    return unsafe bytes.withUnsafeBytes { bytes in
      unsafe withUnsafeTemporaryAllocation(of: Structure.self, capacity: count) { place in
        unsafe UnsafeMutableRawBufferPointer(place).copyMemory(from: bytes)
        return unsafe Array(place)
      }
    }
  }

  /// Copies a structure out.
  func store<Structure>(_ structure: Structure) throws(KVMError) {
    let result = unsafe withUnsafeBytes(of: structure) { bytes in
      unsafe apus_shim_copy(
        UnsafeMutableRawPointer(bitPattern: value), bytes.baseAddress,
        MemoryLayout<Structure>.size)
    }
    if result < 0 { throw .badAddress }
  }

  /// Copies a structure out, for an ioctl that has no other result.
  func put<Structure>(_ structure: Structure) throws(KVMError) -> Int {
    try store(structure)
    return 0
  }

  func array<Element: BitwiseCopyable>(
    of type: Element.Type, count: Int
  ) throws(KVMError) -> [Element] {
    let bytes = try bytes(count: count * MemoryLayout<Element>.stride)
    return unsafe bytes.withUnsafeBytes { bytes in
      (0..<count).map { index in
        unsafe bytes.loadUnaligned(
          fromByteOffset: index * MemoryLayout<Element>.stride, as: Element.self)
      }
    }
  }

  func store<Element: BitwiseCopyable>(array: [Element]) throws(KVMError) {
    let result = unsafe array.withUnsafeBytes { bytes in
      unsafe apus_shim_copy(
        UnsafeMutableRawPointer(bitPattern: value), bytes.baseAddress, bytes.count)
    }
    if result < 0 { throw .badAddress }
  }

  func bytes(count: Int) throws(KVMError) -> [UInt8] {
    // Before there is room for much that is not there, a look at its end.
    if count > 1 << 16 { _ = try advanced(by: count - 1).bytes(count: 1) }
    var bytes = [UInt8](repeating: 0, count: count)
    try copyIn(&bytes)
    return bytes
  }

  private func copyIn(_ bytes: inout [UInt8]) throws(KVMError) {
    let result = unsafe bytes.withUnsafeMutableBytes { bytes in
      unsafe apus_shim_copy(
        bytes.baseAddress, UnsafeRawPointer(bitPattern: value), bytes.count)
    }
    if result < 0 { throw .badAddress }
  }
}
