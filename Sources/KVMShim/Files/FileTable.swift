import CShim
import Synchronization

/// Which descriptors are KVM's, and of what.
///
/// Looking a descriptor up takes no lock. A file lives while descriptors of it are open.
final class FileTable: Sendable {
  private struct Pool: Sendable {
    var free: [FileRecord] = []
    var used: [FileRecord] = []
  }

  private let pool = Mutex(Pool())
  /// One more than the highest descriptor that ever was KVM's.
  private let limit = Atomic<CInt>(0)

  /// Does something with the file behind a descriptor, which lives meanwhile even if it is closed;
  /// `nil` where there is none.
  @inline(always)
  static func withFile<Result>(
    at descriptor: CInt, _ body: (OpenFile) -> Result
  ) -> Result? {
    while let record = FileRecord(at: descriptor) {
      guard record.addUserIfAny() else { return nil }
      defer { if record.removeUser() { files.free(record) } }
      if FileRecord(at: descriptor) == record { return record.withFile(body) }
    }
    return nil
  }

  /// Notes a new file, and its first descriptor.
  func insert(_ file: OpenFile, at descriptor: CInt) {
    let identity = FileIdentity(of: descriptor) ?? FileIdentity()
    let record = pool.withLock { $0.free.popLast() } ?? FileRecord()
    record.fill(file, identity)
    pool.withLock { $0.used.append(record) }
    attach(record, to: descriptor)
  }

  /// Looks for the file of a descriptor that came by a way that nobody saw.
  ///
  /// - Returns: Whether there is one.
  func adopt(_ descriptor: CInt) -> Bool {
    guard let identity = FileIdentity(of: descriptor) else { return false }
    let record = pool.withLock { pool in
      pool.used.first { $0.identity == identity && $0.addUserIfAny() }
    }
    guard let record else { return false }
    attach(record, to: descriptor)
    return true
  }

  /// Notes that `copy` now is what `descriptor` is, which may be nothing of ours.
  func duplicate(_ descriptor: CInt, as copy: CInt) {
    guard let record = FileRecord(at: descriptor), record.addUserIfAny() else {
      forget(copy)
      return
    }
    attach(record, to: copy)
  }

  /// Keeps the file for good: a descriptor of it is where nobody can count it.
  func keep(_ descriptor: CInt) { _ = FileRecord(at: descriptor)?.addUserIfAny() }

  func forget(_ descriptor: CInt) {
    guard let record = FileRecord.exchange(descriptor, nil) else { return }
    if record.removeUser() { free(record) }
  }

  func forget(from first: UInt32, to last: UInt32) {
    let limit = UInt32(limit.load(ordering: .acquiring))
    guard first < limit, first <= last else { return }
    for descriptor in first...min(last, limit - 1) { forget(CInt(descriptor)) }
  }

  /// In a child after a fork: everything but the device belongs to the parent. What there is stays
  /// where it is, since its threads are gone; so is, perhaps, who holds the lock.
  func disown(into table: FileTable) {
    for descriptor in 0..<limit.load(ordering: .acquiring) {
      guard let kind = FileRecord.exchange(descriptor, nil)?.withFile(\.kind) else { continue }
      let file = kind == APUS_DEVICE ? DeviceFile() : ForeignFile(kind: kind)
      table.insert(file, at: descriptor)
    }
  }

  private func attach(_ record: FileRecord, to descriptor: CInt) {
    limit.max(descriptor + 1, ordering: .releasing)
    if let old = FileRecord.exchange(descriptor, record), old.removeUser() { free(old) }
  }

  /// Lets go of a file that nobody uses any more.
  private func free(_ record: FileRecord) {
    let file = record.empty()
    pool.withLock { pool in
      pool.used.removeAll { $0 == record }
      pool.free.append(record)
    }
    // Not under the lock: the end of a machine takes time.
    _ = consume file
  }
}
