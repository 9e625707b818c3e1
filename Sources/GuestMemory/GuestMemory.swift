import Host
import Synchronization

/// A guest-physical access that no RAM answers.
public struct UnbackedAddress: Error, Hashable {
  public let address: UInt64
  public let count: Int
}

/// The RAM of one virtual machine, addressed as the guest's processor addresses it.
///
/// Copies in and out only: no reference to guest memory leaves this type but through
/// ``hostAddress(of:count:)``, whose users must expect other threads to change the bytes.
public final class GuestMemory: Sendable {
  /// The RAM that the machine was made with, in ascending order, never overlapping.
  public let regions: [MemoryRegion]
  /// What was added since, and may change while processors run.
  private let slots = Mutex<[MemoryRegion]>([])
  /// Counts changes of the slots.
  private let changes = Atomic<UInt64>(0)
  private let backing: Mapping

  /// RAM of `size` bytes (a multiple of 4096), split around the 32-bit device hole as PCs do.
  public init(size: UInt64) throws(SystemError) {
    let low = min(size, MemoryLayoutPC.lowMemoryLimit)
    backing = try Mapping(anonymous: Int(size))
    let base = unsafe backing.base
    var regions = [unsafe MemoryRegion(range: 0..<low, host: base)]
    if size > low {
      let start = MemoryLayoutPC.highMemoryStart
      let high = unsafe MemoryRegion(range: start..<start + size - low, host: base + Int(low))
      regions.append(high)
    }
    self.regions = regions
  }

  /// All RAM, in bytes.
  public var size: UInt64 { regions.reduce(0) { $0 + UInt64($1.range.count) } }

  /// Memory that others provide: none at first.
  public init() throws(SystemError) {
    backing = try Mapping(anonymous: 4096)
    regions = []
  }

  /// Replaces all slots; they do not overlap. Their memory must outlive this object.
  public func setSlots(_ regions: [MemoryRegion]) {
    slots.withLock { $0 = regions }
    changes.add(1, ordering: .releasing)
  }

  /// Changes with every change of the slots: what was derived from the old ones is void then.
  public var version: UInt64 { changes.load(ordering: .acquiring) }

  /// The region that an address is in.
  @inlinable
  public func region(of address: UInt64) -> MemoryRegion? {
    for region in regions where region.range.contains(address) { return region }
    return version == 0 ? nil : slot(of: address)
  }

  @usableFromInline
  func slot(of address: UInt64) -> MemoryRegion? {
    slots.withLock { slots in slots.first { $0.range.contains(address) } }
  }

  /// Where `count` bytes at `address` are in this process; `nil` unless one region has them all.
  @inlinable
  public func hostAddress(of address: UInt64, count: Int) -> UnsafeMutableRawPointer? {
    guard let region = region(of: address),
      UInt64(count) <= region.range.upperBound - address
    else { return nil }
    return unsafe region.host + Int(address - region.range.lowerBound)
  }

  /// Copies bytes into guest memory.
  public func write(_ bytes: [UInt8], at address: UInt64) throws(UnbackedAddress) {
    guard let host = unsafe hostAddress(of: address, count: bytes.count) else {
      throw UnbackedAddress(address: address, count: bytes.count)
    }
    unsafe bytes.withUnsafeBytes { source in
      guard let start = source.baseAddress else { return }
      unsafe host.copyMemory(from: start, byteCount: source.count)
    }
  }

  /// Copies `count` bytes out of guest memory.
  public func bytes(at address: UInt64, count: Int) throws(UnbackedAddress) -> [UInt8] {
    guard let host = unsafe hostAddress(of: address, count: count) else {
      throw UnbackedAddress(address: address, count: count)
    }
    return unsafe Array(UnsafeRawBufferPointer(start: host, count: count))
  }

  /// Writes one little-endian value.
  public func store<Value: BitwiseCopyable>(
    _ value: Value, at address: UInt64
  ) throws(UnbackedAddress) {
    guard let host = unsafe hostAddress(of: address, count: MemoryLayout<Value>.size) else {
      throw UnbackedAddress(address: address, count: MemoryLayout<Value>.size)
    }
    unsafe host.storeBytes(of: value, as: Value.self)
  }

  /// Reads one little-endian value.
  public func load<Value: BitwiseCopyable>(
    _ type: Value.Type, at address: UInt64
  ) throws(UnbackedAddress) -> Value {
    guard let host = unsafe hostAddress(of: address, count: MemoryLayout<Value>.size) else {
      throw UnbackedAddress(address: address, count: MemoryLayout<Value>.size)
    }
    return unsafe host.loadUnaligned(as: Value.self)
  }
}
