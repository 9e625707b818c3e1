import Engine
import Glibc
public import KVM

extension SoftMachine: DirtyTrackingMachine {
  /// KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE and KVM_DIRTY_LOG_INITIALLY_SET.
  private var protection: UInt64 { settings.argument(of: .manualDirtyLogProtect2) ?? 0 }
  var logsStartWritten: Bool { protection & 3 == 3 && dirtyRingSize == 0 }

  public func dirtyPages(slot: UInt32) throws(KVMError) -> PageBitmap {
    let call = "KVM_GET_DIRTY_LOG"
    try checkBitmaps(call)
    guard SoftCapabilities.mayHaveSlot(slot) else { throw .refused(call: call, errno: EINVAL) }
    guard let words = group.writtenPages(ofSlot: slot, forgetting: protection & 1 == 0) else {
      throw .refused(call: call, errno: ENOENT)
    }
    return PageBitmap(words: words)
  }

  public func forgetDirtyPages(
    slot: UInt32, first: UInt64, count: UInt32, _ pages: PageBitmap
  ) throws(KVMError) {
    let call = "KVM_CLEAR_DIRTY_LOG"
    try checkBitmaps(call)
    guard SoftCapabilities.mayHaveSlot(slot), first & 63 == 0 else {
      throw .refused(call: call, errno: EINVAL)
    }
    guard let total = group.loggedPageCount(ofSlot: slot).map(UInt64.init) else {
      throw .refused(call: call, errno: ENOENT)
    }
    // The last word may stand for fewer than 64 pages only at the slot's end.
    guard first <= total, UInt64(count) <= total - first,
      UInt64(count) == total - first || count & 63 == 0
    else { throw .refused(call: call, errno: EINVAL) }
    let words = pages.words.prefix((Int(count) + 63) / 64)
    guard group.forgetWrittenPages(ofSlot: slot, Array(words), from: Int(first)) else {
      throw .refused(call: call, errno: ENOENT)
    }
  }

  public func resetDirtyRings() throws(KVMError) -> Int {
    let rings = processors.withLock { $0.dirtyRings }
    guard rings.size > 0 else { throw .refused(call: "KVM_RESET_DIRTY_RINGS", errno: EINVAL) }
    let pages = rings.all.flatMap { $0.takeBack() }
    if !pages.isEmpty {
      group.forgetWritten(
        pages.map { WrittenPage(slot: $0.slot, page: Int(truncatingIfNeeded: $0.offset)) })
    }
    return pages.count
  }

  /// Bytes of each processor's ring; 0 without rings.
  public var dirtyRingSize: Int { processors.withLock { $0.dirtyRings.size } }

  /// Has all processors, of which there must not be any yet, tell of dirty pages in rings.
  func enableDirtyRings(size: UInt32) throws(KVMError) {
    let obstacle = processors.withLock { table in
      table.identifiers.isEmpty ? table.dirtyRings.enable(size: size) : EINVAL
    }
    if let obstacle { throw .refused(call: "KVM_ENABLE_CAP", errno: obstacle) }
    group.keepWritesOutside()
  }

  /// A log is a bitmap or in the rings, not both.
  private func checkBitmaps(_ call: String) throws(KVMError) {
    guard dirtyRingSize == 0 else { throw .refused(call: call, errno: ENXIO) }
  }
}
