import Bits

/// The bytes of an ACPI table under construction.
///
/// Reference: ACPI specification 6.5, section 5.2.6.
struct ACPITable {
  private(set) var bytes: [UInt8] = []

  /// A table with the common header.
  init(_ signature: String, revision: UInt8) {
    bytes += signature.utf8
    bytes += [0, 0, 0, 0, revision, 0]
    bytes += "APUS  APUSVM  ".utf8
    append(UInt32(1))
    bytes += "APUS".utf8
    append(UInt32(1))
  }

  mutating func append<Value: FixedWidthInteger>(_ value: Value) {
    bytes.append(little: value)
  }

  mutating func append(_ more: [UInt8]) { bytes += more }

  mutating func append(zeros count: Int) {
    bytes.append(contentsOf: repeatElement(0, count: count))
  }

  /// An address in a space of registers ("generic address structure").
  mutating func append(port: UInt16, width: UInt8) {
    let systemIO: UInt8 = 1
    append([systemIO, width * 8, 0, width == 4 ? 3 : width])
    append(UInt64(port))
  }

  /// The complete table: length filled in, checksum so that all bytes add up to zero.
  func finished() -> [UInt8] {
    var table = bytes
    table.store(little: UInt32(table.count), at: 4)
    table[9] = Self.checksum(table[...])
    return table
  }

  /// The byte that makes the sum of `bytes` zero.
  static func checksum(_ bytes: ArraySlice<UInt8>) -> UInt8 {
    0 &- bytes.reduce(0, &+)
  }
}
