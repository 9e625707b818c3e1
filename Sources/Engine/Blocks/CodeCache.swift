import Glibc
internal import Host

/// The memory that translated code lies in, mapped twice: where it is written it cannot run, and
/// where it runs it cannot be written.
@safe
final class CodeCache: Sendable {
  static let size = 192 << 20
  /// From here on are the parts of blocks that run rarely, so that the others lie close together.
  static let coldStart = UInt32(size / 2)
  private let writable: Mapping
  private let executable: Mapping

  init() throws(SystemError) {
    let file = try FileDescriptor.memory(named: "apus-code", size: Self.size)
    writable = try Mapping(shared: file, size: Self.size, protection: PROT_READ | PROT_WRITE)
    executable = try Mapping(shared: file, size: Self.size, protection: PROT_READ | PROT_EXEC)
  }

  /// Where the byte at `offset` is written.
  @inline(always)
  func write(at offset: UInt32) -> UnsafeMutablePointer<UInt8> {
    unsafe (writable.base + Int(offset)).assumingMemoryBound(to: UInt8.self)
  }

  /// Where the byte at `offset` runs.
  @inline(always)
  func run(at offset: UInt32) -> UInt64 {
    UInt64(UInt(bitPattern: unsafe executable.base)) + UInt64(offset)
  }

  /// Makes the jump or call with its 32-bit displacement at `site` land on `target`.
  func aim(_ site: UInt32, at target: UInt32) {
    let displacement = Int32(bitPattern: target &- (site &+ 4))
    unsafe UnsafeMutableRawPointer(write(at: site)).storeBytes(of: displacement, as: Int32.self)
  }

  /// The offset of a pointer from ``write(at:)``.
  @inline(always)
  func offset(of pointer: UnsafeMutablePointer<UInt8>) -> UInt32 {
    UInt32(unsafe UnsafeMutableRawPointer(pointer) - writable.base)
  }

  /// The offset of a running address; `nil` outside the cache.
  func offset(running address: UInt64) -> UInt32? {
    let start = UInt64(UInt(bitPattern: unsafe executable.base))
    guard address >= start, address < start + UInt64(Self.size) else { return nil }
    return UInt32(address - start)
  }
}
