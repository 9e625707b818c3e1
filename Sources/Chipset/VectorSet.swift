/// A set of interrupt vectors.
public struct VectorSet: Sendable, BitwiseCopyable {
  private var words: [4 of UInt64] = .init(repeating: 0)

  public init() {}

  /// The vectors of an I/O APIC's redirection entries.
  init(_ entries: [24 of UInt64]) {
    for index in entries.indices { insert(UInt8(entries[index] & 0xff)) }
  }

  public var isEmpty: Bool { words[0] | words[1] | words[2] | words[3] == 0 }

  public func contains(_ vector: UInt8) -> Bool {
    words[Int(vector >> 6)] >> UInt64(vector & 63) & 1 != 0
  }

  public mutating func insert(_ vector: UInt8) {
    words[Int(vector >> 6)] |= 1 << UInt64(vector & 63)
  }
}
