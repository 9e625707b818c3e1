import CLinux
import CShim
import Glibc
import Host
import KVM

/// Makes a file that holds counters in KVM's binary format: a header, the object's name,
/// descriptions, values.
///
/// Reference: KVM API, section 4.133, "KVM_GET_STATS_FD".
func makeStatisticsFile(_ name: String, _ statistics: [Statistic]) throws(KVMError) -> Int {
  let bytes = StatisticsImage(name, statistics).bytes
  let descriptor = unsafe apus_shim_make_file("kvm-stats", bytes.count, 1)
  if descriptor < 0 { throw .system(-descriptor) }
  let written = unsafe bytes.withUnsafeBytes {
    unsafe pwrite(descriptor, $0.baseAddress, $0.count, 0)
  }
  guard written == bytes.count else {
    close(descriptor)
    throw .system(ENOMEM)
  }
  return Int(descriptor)
}

private struct StatisticsImage {
  private static let nameSize = 48
  private static let headerSize = 24
  private static let descriptionSize = 16 + nameSize
  private(set) var bytes: [UInt8] = []

  init(_ name: String, _ statistics: [Statistic]) {
    let descriptions = Self.headerSize + Self.nameSize
    let data = descriptions + statistics.count * Self.descriptionSize
    append(UInt32(0))  // flags
    append(UInt32(Self.nameSize))
    append(UInt32(statistics.count))
    append(UInt32(Self.headerSize))
    append(UInt32(descriptions))
    append(UInt32(data))
    append(name)
    var offset: UInt32 = 0
    for statistic in statistics {
      append(statistic.kind.rawValue | statistic.unit.rawValue << 4 | statistic.base.rawValue << 8)
      append(UInt16(bitPattern: statistic.exponent))
      append(UInt16(statistic.values.count))
      append(offset)
      append(statistic.bucketSize)
      append(statistic.name)
      offset += UInt32(statistic.values.count * 8)
    }
    for value in statistics.flatMap(\.values) { append(value) }
  }

  private mutating func append(_ number: some FixedWidthInteger) {
    unsafe withUnsafeBytes(of: number.littleEndian) { unsafe bytes.append(contentsOf: $0) }
  }

  private mutating func append(_ name: String) {
    let text = Array(name.utf8.prefix(Self.nameSize - 1))
    bytes += text + [UInt8](repeating: 0, count: Self.nameSize - text.count)
  }
}
