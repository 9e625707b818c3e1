import CLinux
public import KVM

/// What is read from the file that KVM_GET_STATS_FD makes: a header, descriptions, values.
///
/// Reference: KVM API, section 4.133, "KVM_GET_STATS_FD".
public struct StatisticsFormat {
  /// Whose statistics, such as "kvm-123".
  public var name: String
  public var statistics: [Statistic]

  private static let headerSize = MemoryLayout<kvm_stats_header>.size
  /// Names have at most 47 characters.
  private static let nameSize = 48
  private static let descriptionSize = 16

  public init(name: String, _ statistics: [Statistic]) {
    self.name = name
    self.statistics = statistics
  }

  /// Reads a whole file; `nil` when it is not one.
  public init?(bytes: [UInt8]) {
    func number(_ offset: Int, _ count: Int = 4) -> UInt64? {
      guard offset >= 0, offset <= bytes.count - count else { return nil }
      return bytes[offset..<offset + count].reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }
    func text(_ offset: Int, _ size: Int) -> String? {
      guard offset >= 0, size >= 0, offset <= bytes.count - size else { return nil }
      return String(decoding: bytes[offset..<offset + size].prefix { $0 != 0 }, as: UTF8.self)
    }
    let header = (0..<6).compactMap { number($0 * 4).map { Int($0) } }
    guard header.count == 6, let name = text(header[3], header[1]) else { return nil }
    self.init(name: name, [])
    for index in 0..<header[2] {
      let start = header[4] + index * (Self.descriptionSize + header[1])
      guard let flags = number(start), let exponent = number(start + 4, 2),
        let count = number(start + 6, 2), let offset = number(start + 8),
        let bucketSize = number(start + 12), let name = text(start + 16, header[1]),
        let kind = Statistic.Kind(rawValue: UInt32(flags & 0xf)),
        let unit = Statistic.Unit(rawValue: UInt32(flags >> 4 & 0xf)),
        let base = Statistic.Base(rawValue: UInt32(flags >> 8 & 0xf))
      else { return nil }
      let values = (0..<Int(count)).compactMap { number(header[5] + Int(offset) + $0 * 8, 8) }
      guard values.count == count else { return nil }
      statistics.append(
        Statistic(
          name, kind, unit, exponent: Int16(truncatingIfNeeded: exponent), base: base,
          bucketSize: UInt32(bucketSize), values: values))
    }
  }

  /// The whole file.
  public var bytes: [UInt8] {
    var file: [UInt8] = []
    func append(_ value: some FixedWidthInteger) {
      unsafe withUnsafeBytes(of: value.littleEndian) { unsafe file.append(contentsOf: $0) }
    }
    func append(text: String) {
      let characters = Array(text.utf8.prefix(Self.nameSize - 1))
      file += characters + [UInt8](repeating: 0, count: Self.nameSize - characters.count)
    }
    let descriptions = Self.headerSize + Self.nameSize
    let stride = Self.descriptionSize + Self.nameSize
    let data = descriptions + statistics.count * stride
    let header = [0, Self.nameSize, statistics.count, Self.headerSize, descriptions, data]
    for number in header { append(UInt32(number)) }
    append(text: name)
    var offset: UInt32 = 0
    for entry in statistics {
      append(entry.kind.rawValue | entry.unit.rawValue << 4 | entry.base.rawValue << 8)
      append(entry.exponent)
      append(UInt16(entry.values.count))
      append(offset)
      append(entry.bucketSize)
      append(text: entry.name)
      offset += UInt32(entry.values.count * 8)
    }
    for value in statistics.flatMap(\.values) { append(value) }
    return file
  }
}
