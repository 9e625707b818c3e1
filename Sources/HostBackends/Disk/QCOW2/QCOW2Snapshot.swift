import Host

/// A state of the disk that the image keeps.
///
/// Reference: QEMU, docs/interop/qcow2, "Snapshots".
public struct QCOW2Snapshot: Codable, Hashable, Sendable {
  public let identifier: String
  public let name: String
  /// Seconds since 1970.
  public let seconds: UInt32
  let l1Offset: UInt64
  let l1Count: Int
  /// Behind its entry in the table.
  let end: UInt64

  static func all(
    _ header: QCOW2Header, in file: DiskFile
  ) throws(SystemError) -> [QCOW2Snapshot] {
    var snapshots: [QCOW2Snapshot] = []
    var place = header.snapshotsOffset
    for _ in 0..<header.snapshotCount {
      let snapshot = try QCOW2Snapshot(at: place, in: file)
      snapshots.append(snapshot)
      place = snapshot.end
    }
    return snapshots
  }

  private init(at place: UInt64, in file: DiskFile) throws(SystemError) {
    let head = try file.bytes(at: place, count: 40)
    l1Offset = head.big(UInt64.self, at: 0)
    l1Count = Int(head.big(UInt32.self, at: 8))
    seconds = head.big(UInt32.self, at: 16)
    let (identifierSize, nameSize) = (
      Int(head.big(UInt16.self, at: 12)), Int(head.big(UInt16.self, at: 14))
    )
    let extra = UInt64(head.big(UInt32.self, at: 36))
    // More than anybody has defined.
    if extra > 1024 { throw Damage.found }
    let names = try file.bytes(at: place + 40 + extra, count: identifierSize + nameSize)
    identifier = String(decoding: names[..<identifierSize], as: UTF8.self)
    name = String(decoding: names[identifierSize...], as: UTF8.self)
    end = place + (40 + extra + UInt64(names.count) + 7) / 8 * 8
  }
}
