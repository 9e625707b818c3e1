internal import CLinux
import Glibc
import Host
import KVM

/// A file descriptor that takes KVM's ioctls: the device, a machine or a processor.
final class KVMFile: Sendable {
  let descriptor: FileDescriptor

  init(owning descriptor: consuming FileDescriptor) { self.descriptor = descriptor }

  init(path: String) throws(KVMError) {
    do throws(SystemError) {
      descriptor = try FileDescriptor.open(path, O_RDWR)
    } catch {
      throw .refused(call: error.call, errno: error.errno)
    }
  }

  /// An ioctl whose argument is a number.
  @discardableResult
  func call(
    _ request: UInt, _ argument: UInt = 0, named name: String
  ) throws(KVMError) -> Int {
    let result = apus_ioctl(descriptor.rawValue, request, argument)
    if result < 0 { throw .refused(call: name, errno: Int32(-result)) }
    return result
  }

  /// An ioctl whose argument is a structure, read or written by the kernel.
  @discardableResult
  func call<Structure>(
    _ request: UInt, with structure: inout Structure, named name: String
  ) throws(KVMError) -> Int {
    let result = unsafe withUnsafeMutablePointer(to: &structure) { pointer in
      apus_ioctl(descriptor.rawValue, request, UInt(bitPattern: pointer))
    }
    if result < 0 { throw .refused(call: name, errno: Int32(-result)) }
    return result
  }

  /// An ioctl whose argument is a counted table.
  @discardableResult
  func call<Entry>(
    _ request: UInt, table: inout EntryTable<Entry>, named name: String
  ) throws(KVMError) -> Int {
    let result = unsafe table.bytes.withUnsafeMutableBytes { bytes in
      apus_ioctl(descriptor.rawValue, request, UInt(bitPattern: bytes.baseAddress))
    }
    if result < 0 { throw .refused(call: name, errno: Int32(-result)) }
    return result
  }

  /// An ioctl that makes another file.
  func file(
    from request: UInt, _ argument: UInt = 0, named name: String
  ) throws(KVMError) -> KVMFile {
    let number = try call(request, argument, named: name)
    return KVMFile(owning: FileDescriptor(owning: CInt(number)))
  }
}

/// A counted table as KVM's ioctls take it: a header that starts with the number of entries, then
/// the entries.
struct EntryTable<Entry: BitwiseCopyable> {
  var bytes: [UInt8]
  let header: Int

  /// A table of `capacity` empty entries, for the kernel to fill.
  init(header: Int, capacity: Int) {
    self.header = header
    bytes = [UInt8](repeating: 0, count: header + capacity * MemoryLayout<Entry>.stride)
    count = UInt32(capacity)
  }

  init(header: Int, _ entries: [Entry]) {
    self.init(header: header, capacity: entries.count)
    unsafe bytes.withUnsafeMutableBytes { bytes in
      for (index, entry) in entries.enumerated() {
        unsafe bytes.storeBytes(
          of: entry, toByteOffset: header + index * MemoryLayout<Entry>.stride, as: Entry.self)
      }
    }
  }

  var count: UInt32 {
    get { unsafe bytes.withUnsafeBytes { unsafe $0.loadUnaligned(as: UInt32.self) } }
    set {
      unsafe bytes.withUnsafeMutableBytes { unsafe $0.storeBytes(of: newValue, as: UInt32.self) }
    }
  }

  /// The entries that ``count`` speaks of, never more than there is room for.
  var entries: [Entry] {
    let stride = MemoryLayout<Entry>.stride
    let count = min(Int(count), (bytes.count - header) / stride)
    return unsafe bytes.withUnsafeBytes { bytes in
      (0..<count).map { index in
        unsafe bytes.loadUnaligned(fromByteOffset: header + index * stride, as: Entry.self)
      }
    }
  }
}
