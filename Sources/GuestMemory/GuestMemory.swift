import Host

/// A guest-physical access that no RAM answers.
public struct UnbackedAddress: Error, Hashable {
  public let address: UInt64
  public let count: Int

  public init(address: UInt64, count: Int) {
    self.address = address
    self.count = count
  }
}

/// The RAM of one virtual machine, addressed as the guest's processor addresses it.
///
/// Copies in and out only: no reference to guest memory leaves this type but through
/// ``hostAddress(of:count:)``, whose users must expect other threads to change the bytes.
public final class GuestMemory: Sendable {
  /// In ascending order, never overlapping.
  public let regions: [MemoryRegion]
  private let backing: Mapping

  /// RAM of `size` bytes (a multiple of 4096), split around the 32-bit device hole as PCs do.
  public init(size: UInt64) throws(SystemError) {
    let low = min(size, MemoryLayoutPC.lowMemoryLimit)
    backing = try Mapping(anonymous: Int(size))
    backing.preferLargePages()
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

  /// None: machines without RAM of ours.
  public init() throws(SystemError) {
    backing = try Mapping(anonymous: 4096)
    regions = []
  }

  /// Where `count` bytes at `address` are in this process; `nil` unless one region has them all.
  @inlinable
  public func hostAddress(of address: UInt64, count: Int) -> UnsafeMutableRawPointer? {
    for region in regions where region.range.contains(address) {
      guard UInt64(count) <= region.range.upperBound - address else { return nil }
      return unsafe region.host + Int(address - region.range.lowerBound)
    }
    return nil
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
