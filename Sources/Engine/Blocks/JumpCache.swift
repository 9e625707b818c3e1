/// Where indirect jumps and jumps between pages find their target: host addresses by 16 bits of the
/// sum of the guest's linear address and its page's number, one cache for each ``MemoryView``. So
/// functions, which begin at multiples of 16, and places 64 KiB apart find room beside each other.
///
/// A tag of zero would match address 0, whose entry therefore leads to the lookup thunk.
@safe
struct JumpCache {
  /// Which entries are filled, by whether their pages are global.
  private struct Log {
    var count = 0
    var globalCount = 0
  }

  /// How far an address is shifted to be added to itself.
  static let shift: UInt8 = 12

  private static func index(_ linear: UInt64) -> Int {
    Int(truncatingIfNeeded: linear &+ linear >> UInt64(shift)) & 0xffff
  }

  private let base: UnsafeMutableRawPointer
  /// Host address of the thunk that looks a block up.
  private let find: UInt64

  init(base: UnsafeMutableRawPointer, find: UInt64) {
    unsafe self.base = unsafe base
    self.find = find
    for view in MemoryView.allCases {
      log(view) { $0 = Log() }
      clear(view, 0)
    }
  }

  private func words(_ offset: Int) -> UnsafeMutablePointer<UInt64> {
    unsafe (base + offset).assumingMemoryBound(to: UInt64.self)
  }

  @inline(always)
  private func log<Result>(_ view: MemoryView, _ body: (inout Log) -> Result) -> Result {
    let pointer = unsafe (base + StateLayout.jumpLogs + StateLayout.logStride * Int(view.rawValue))
      .assumingMemoryBound(to: Log.self)
    return unsafe body(&pointer.pointee)
  }

  private func logEntries(_ view: MemoryView, global: Bool) -> UnsafeMutablePointer<UInt32> {
    let start =
      StateLayout.jumpLogs + StateLayout.logStride * Int(view.rawValue)
      + (global ? StateLayout.globalLog : 64)
    return unsafe (base + start).assumingMemoryBound(to: UInt32.self)
  }

  /// A bit for each page that may have targets, by the low 16 bits of its number.
  private var filter: UnsafeMutablePointer<UInt64> {
    unsafe (base + StateLayout.jumpFilter).assumingMemoryBound(to: UInt64.self)
  }

  private static func filterPlace(_ linear: UInt64) -> (word: Int, bit: UInt64) {
    (Int(linear >> 18 & 0x3ff), 1 << (linear >> 12 & 63))
  }

  private func clear(_ view: MemoryView, _ index: Int) {
    unsafe words(StateLayout.jumpTags(view))[index] = 0
    unsafe words(StateLayout.jumpTargets(view))[index] = find
  }

  /// The host address to enter `linear` at; it expects the address in R11.
  @inline(always)
  func target(_ view: MemoryView, linear: UInt64) -> UInt64? {
    let index = Self.index(linear)
    guard unsafe words(StateLayout.jumpTags(view))[index] == linear, linear != 0 else {
      return nil
    }
    return unsafe words(StateLayout.jumpTargets(view))[index]
  }

  func enter(_ view: MemoryView, linear: UInt64, target: UInt64, isGlobal: Bool) {
    let index = Self.index(linear)
    let count = log(view) { isGlobal ? $0.globalCount : $0.count }
    if count == StateLayout.logCapacity {
      flush(view, keepingGlobal: !isGlobal)
      return enter(view, linear: linear, target: target, isGlobal: isGlobal)
    }
    unsafe logEntries(view, global: isGlobal)[count] = UInt32(index)
    log(view) { log in
      if isGlobal { log.globalCount += 1 } else { log.count += 1 }
    }
    let (word, bit) = Self.filterPlace(linear)
    unsafe filter[word] |= bit
    unsafe words(StateLayout.jumpTags(view))[index] = linear
    unsafe words(StateLayout.jumpTargets(view))[index] = target
  }

  func flush(_ view: MemoryView, keepingGlobal: Bool) {
    forEachLogged(view, global: false) { clear(view, $0) }
    log(view) { $0.count = 0 }
    guard !keepingGlobal else { return }
    forEachLogged(view, global: true) { clear(view, $0) }
    log(view) { $0.globalCount = 0 }
  }

  func flush(keepingGlobal: Bool) {
    for view in MemoryView.allCases { flush(view, keepingGlobal: keepingGlobal) }
    if !keepingGlobal { unsafe filter.update(repeating: 0, count: 1024) }
  }

  /// Forgets the targets in the page of `linear`.
  func flush(pageOf linear: UInt64) {
    let (word, bit) = Self.filterPlace(linear)
    guard unsafe filter[word] & bit != 0 else { return }
    for view in MemoryView.allCases {
      for isGlobal in [false, true] {
        forEachLogged(view, global: isGlobal) { index in
          let tag = unsafe words(StateLayout.jumpTags(view))[index]
          if tag != 0 && (tag ^ linear) < 4096 { clear(view, index) }
        }
      }
    }
  }

  @inline(always)
  private func forEachLogged(_ view: MemoryView, global: Bool, _ body: (Int) -> Void) {
    let count = log(view) { global ? $0.globalCount : $0.count }
    let entries = unsafe logEntries(view, global: global)
    for position in 0..<count { body(Int(unsafe entries[position])) }
  }
}
