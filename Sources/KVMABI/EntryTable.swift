/// A counted table as KVM's ioctls take it: a header that starts with the number of entries, then
/// the entries, which are the kernel's structures.
public struct EntryTable<Entry> {
  public var bytes: [UInt8]
  public let header: Int

  /// A table of `capacity` empty entries, for the kernel to fill.
  public init(header: Int, capacity: Int) {
    self.header = header
    bytes = [UInt8](repeating: 0, count: header + capacity * MemoryLayout<Entry>.stride)
    count = UInt32(capacity)
  }

  public init(header: Int, _ entries: [Entry]) {
    self.init(header: header, capacity: entries.count)
    unsafe bytes.withUnsafeMutableBytes { bytes in
      for (index, entry) in entries.enumerated() {
        unsafe bytes.storeBytes(
          of: entry, toByteOffset: header + index * MemoryLayout<Entry>.stride, as: Entry.self)
      }
    }
  }

  public var count: UInt32 {
    get { unsafe bytes.withUnsafeBytes { unsafe $0.loadUnaligned(as: UInt32.self) } }
    set {
      unsafe bytes.withUnsafeMutableBytes { unsafe $0.storeBytes(of: newValue, as: UInt32.self) }
    }
  }

  /// The entries that ``count`` speaks of, never more than there is room for.
  public var entries: [Entry] {
    let stride = MemoryLayout<Entry>.stride
    let count = min(Int(count), (bytes.count - header) / stride)
    return unsafe bytes.withUnsafeBytes { bytes in
      (0..<count).map { index in
        unsafe bytes.loadUnaligned(fromByteOffset: header + index * stride, as: Entry.self)
      }
    }
  }
}
