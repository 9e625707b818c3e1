/// Where indirect jumps and jumps between pages find their target: host addresses by the low 16
/// bits of the guest's linear address, one cache for each ``MemoryView``.
///
/// A tag of zero would match address 0, whose entry therefore leads to the lookup thunk.
@safe
struct JumpCache {
  private static let logCapacity = 4000
  private static let globalBit: UInt32 = 1 << 31

  private let base: UnsafeMutableRawPointer
  /// Host address of the thunk that looks a block up.
  private let find: UInt64

  init(base: UnsafeMutableRawPointer, find: UInt64) {
    unsafe self.base = unsafe base
    self.find = find
    for view in MemoryView.allCases {
      setLogCount(view, 0)
      clear(view, 0)
    }
  }

  private func words(_ offset: Int) -> UnsafeMutablePointer<UInt64> {
    unsafe (base + offset).assumingMemoryBound(to: UInt64.self)
  }

  private func log(_ view: MemoryView) -> UnsafeMutablePointer<UInt32> {
    unsafe (base + StateLayout.logs + 0x18000 + 0x8000 * Int(view.rawValue))
      .assumingMemoryBound(to: UInt32.self)
  }

  private func logCount(_ view: MemoryView) -> Int { Int(unsafe log(view)[0]) }
  private func setLogCount(_ view: MemoryView, _ count: Int) {
    unsafe log(view)[0] = UInt32(count)
  }

  private func clear(_ view: MemoryView, _ index: Int) {
    unsafe words(StateLayout.jumpTags(view))[index] = 0
    unsafe words(StateLayout.jumpTargets(view))[index] = find
  }

  /// The host address to enter `linear` at; it expects the address in R11.
  @inline(always)
  func target(_ view: MemoryView, linear: UInt64) -> UInt64? {
    let index = Int(linear & 0xffff)
    guard unsafe words(StateLayout.jumpTags(view))[index] == linear, linear != 0 else {
      return nil
    }
    return unsafe words(StateLayout.jumpTargets(view))[index]
  }

  func enter(_ view: MemoryView, linear: UInt64, target: UInt64, isGlobal: Bool) {
    let index = Int(linear & 0xffff)
    if logCount(view) == Self.logCapacity { flush(view, keepingGlobal: false) }
    let count = logCount(view)
    unsafe log(view)[count + 1] = UInt32(index) | (isGlobal ? Self.globalBit : 0)
    setLogCount(view, count + 1)
    unsafe words(StateLayout.jumpTags(view))[index] = linear
    unsafe words(StateLayout.jumpTargets(view))[index] = target
  }

  func flush(_ view: MemoryView, keepingGlobal: Bool) {
    var kept = 0
    for position in 0..<logCount(view) {
      let entry = unsafe log(view)[position + 1]
      if keepingGlobal && entry & Self.globalBit != 0 {
        unsafe log(view)[kept + 1] = entry
        kept += 1
      } else {
        clear(view, Int(entry & 0xffff))
      }
    }
    setLogCount(view, kept)
  }

  func flush(keepingGlobal: Bool) {
    for view in MemoryView.allCases { flush(view, keepingGlobal: keepingGlobal) }
  }

  /// Forgets the targets in the page of `linear`.
  func flush(pageOf linear: UInt64) {
    for view in MemoryView.allCases {
      for position in 0..<logCount(view) {
        let index = Int(unsafe log(view)[position + 1] & 0xffff)
        let tag = unsafe words(StateLayout.jumpTags(view))[index]
        if tag != 0 && (tag ^ linear) < 4096 { clear(view, index) }
      }
    }
  }
}
