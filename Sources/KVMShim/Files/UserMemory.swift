import CLinux
import CShim
import KVM

/// An address that the program named. Nothing is known about it: copies in and out fail with EFAULT
/// where the program may not read or write.
///
/// What is copied are C's structures. They are plain bytes, though those with unions do not say so.
struct UserAddress {
  let value: UInt

  init(_ value: UInt) { self.value = value }

  func advanced(by count: Int) -> UserAddress { UserAddress(value &+ UInt(bitPattern: count)) }

  /// Copies a structure in.
  func load<Structure>(_ type: Structure.Type) throws(KVMError) -> Structure {
    try array(of: type, count: 1)[0]
  }

  /// Copies structures in that lie one after the other.
  func array<Structure>(
    of type: Structure.Type, count: Int
  ) throws(KVMError) -> [Structure] {
    let size = count * MemoryLayout<Structure>.stride
    // Before there is room for much that is not there, a look at its end.
    if size > 1 << 16 { _ = try advanced(by: size - 1).load(UInt8.self) }
    var result: CInt = 0
    let array = unsafe [Structure](unsafeUninitializedCapacity: count) { places, filled in
      result = unsafe apus_shim_copy(
        places.baseAddress, UnsafeRawPointer(bitPattern: value), size)
      filled = result < 0 ? 0 : count
    }
    if result < 0 { throw .badAddress }
    return array
  }

  /// Copies a structure out.
  func store<Structure>(_ structure: Structure) throws(KVMError) {
    let result = unsafe withUnsafeBytes(of: structure) { bytes in unsafe copyOut(bytes) }
    if result < 0 { throw .badAddress }
  }

  /// Copies structures out, one after the other.
  func store<Structure>(array: [Structure]) throws(KVMError) {
    let result = unsafe array.withUnsafeBytes { bytes in unsafe copyOut(bytes) }
    if result < 0 { throw .badAddress }
  }

  private func copyOut(_ bytes: UnsafeRawBufferPointer) -> CInt {
    unsafe apus_shim_copy(
      UnsafeMutableRawPointer(bitPattern: value), bytes.baseAddress, bytes.count)
  }

  /// Copies a structure out, for an ioctl that has no other result.
  func put<Structure>(_ structure: Structure) throws(KVMError) -> Int {
    try store(structure)
    return 0
  }

  /// `struct kvm_enable_cap`: what to enable, and how.
  func capability() throws(KVMError) -> (Capability, FixedArray<4, UInt64>) {
    let question = try load(kvm_enable_cap.self)
    guard question.flags == 0, let capability = Capability(rawValue: question.cap) else {
      throw .invalid
    }
    let (first, second, third, fourth) = question.args
    return (capability, [first, second, third, fourth])
  }
}
