internal import CLinux
import Glibc
import Host
import KVM
import KVMABI

/// A file descriptor that takes KVM's ioctls: the device, a machine or a processor.
final class KVMFile: Sendable {
  let descriptor: FileDescriptor

  init(owning descriptor: consuming FileDescriptor) { self.descriptor = descriptor }

  init(path: String) throws(KVMError) {
    descriptor = try refusing { () throws(SystemError) in
      try FileDescriptor.open(path, O_RDWR)
    }
  }

  /// An ioctl whose argument is a number.
  @discardableResult
  func call(
    _ request: KVMRequest, _ argument: UInt = 0
  ) throws(KVMError) -> Int {
    let result = apus_ioctl(descriptor.rawValue, request.rawValue, argument)
    return try check(result, request)
  }

  /// An ioctl whose argument is a structure, read or written by the kernel.
  @discardableResult
  func call<Structure>(
    _ request: KVMRequest, with structure: inout Structure
  ) throws(KVMError) -> Int {
    try check(result(request, with: &structure), request)
  }

  /// An ioctl that fills in a structure, or the rest of one.
  func get<Structure>(
    _ request: KVMRequest, _ structure: Structure
  ) throws(KVMError) -> Structure {
    var structure = structure
    try call(request, with: &structure)
    return structure
  }

  /// An ioctl that reads a structure.
  @discardableResult
  func set<Structure>(_ request: KVMRequest, _ structure: Structure) throws(KVMError) -> Int {
    var structure = structure
    return try call(request, with: &structure)
  }

  /// What the call returns: a negative error number where it fails.
  func result<Structure>(_ request: KVMRequest, with structure: inout Structure) -> Int {
    unsafe withUnsafeMutablePointer(to: &structure) { pointer in
      apus_ioctl(descriptor.rawValue, request.rawValue, UInt(bitPattern: pointer))
    }
  }

  @discardableResult
  func check(_ result: Int, _ request: KVMRequest) throws(KVMError) -> Int {
    if result < 0 { throw .refused(call: request.name, errno: Int32(-result)) }
    return result
  }

  /// An ioctl whose argument is a counted table.
  @discardableResult
  func call<Entry>(
    _ request: KVMRequest, table: inout EntryTable<Entry>
  ) throws(KVMError) -> Int {
    try call(request, bytes: &table.bytes)
  }

  /// An ioctl whose argument is a structure of variable size.
  @discardableResult
  func call(_ request: KVMRequest, bytes: inout [UInt8]) throws(KVMError) -> Int {
    let result = unsafe bytes.withUnsafeMutableBytes { bytes in
      apus_ioctl(descriptor.rawValue, request.rawValue, UInt(bitPattern: bytes.baseAddress))
    }
    return try check(result, request)
  }

  /// An ioctl that makes another file.
  func file(
    from request: KVMRequest, _ argument: UInt = 0
  ) throws(KVMError) -> KVMFile {
    let number = try call(request, argument)
    return KVMFile(owning: FileDescriptor(owning: CInt(number)))
  }
}
