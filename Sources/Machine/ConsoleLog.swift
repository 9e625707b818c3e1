public import DeviceModel
import Synchronization

/// The end of what a device wrote, kept to explain what went wrong; passed on to another sink too.
public final class ConsoleLog: ByteSink {
  private static let capacity = 32 << 10

  private let kept = Mutex<[UInt8]>([])
  private let next: any ByteSink

  public init(passingOnTo next: any ByteSink = NullSink()) { self.next = next }

  public func write(_ bytes: Span<UInt8>) {
    kept.withLock { kept in
      // Cut only now and then: a cut moves all that stays.
      if kept.count + bytes.count > 2 * Self.capacity {
        kept.removeFirst(max(kept.count - Self.capacity, 0))
      }
      for index in bytes.indices { kept.append(bytes[index]) }
    }
    next.write(bytes)
  }

  /// What has been kept: at least the last 32 KiB.
  public var text: String { String(decoding: kept.withLock { $0 }, as: UTF8.self) }

  /// The last `count` lines that are not blank, without their line ends.
  public func lastLines(_ count: Int) -> [String] {
    let bytes = kept.withLock { $0 }
    let lines = bytes.split { $0 == 0x0a || $0 == 0x0d }
      .map { String(decoding: $0.filter { $0 >= 0x20 || $0 == 0x09 }, as: UTF8.self) }
      .filter { line in line.contains { $0 != " " && $0 != "\t" } }
    return Array(lines.suffix(count))
  }
}
