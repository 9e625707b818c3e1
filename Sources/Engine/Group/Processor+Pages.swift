import Glibc
import Synchronization

/// How an access reaches a page of memory.
@safe
struct FoundPage: BitwiseCopyable {
  /// `nil` where a device answers, or where read-only memory is to be written.
  var host: UnsafeMutableRawPointer?
  /// Whether it may go straight to the page; else it is a write of which translators must hear.
  var isDirect: Bool
  /// Whether later writes may, too.
  var isWritable: Bool
}

// How a processor comes to terms with the others about pages.
extension Processor {
  /// Finds the page of a translated address, for an access to its memory.
  func findPage(_ translated: PageTranslation, _ linear: UInt64, write: Bool) -> FoundPage {
    let physical = translated.page | linear & 0xfff
    guard let slot = slots.find(physical), !(write && slot.isReadOnly) else {
      return unsafe FoundPage(host: nil, isDirect: false, isWritable: false)
    }
    let state = slot.state(of: physical)
    if write { noteWritten(slot, physical) }
    let isAdmitted =
      write ? state.admitWriter(number) : state.admits(number) && slot.isWritten(physical)
    return unsafe FoundPage(
      host: slot.pointer(to: physical), isDirect: isAdmitted || !write,
      isWritable: isAdmitted && !slot.isReadOnly && translated.rights.contains(.writableNow))
  }

  /// Notes a write to the page of an address, and tells the machine of the page's first.
  @inline(always)
  func noteWritten(_ slot: PhysicalSlot, _ physical: UInt64) {
    if let page = slot.markWritten(physical) { environment.wasWritten(page) }
  }

  func fillTLB(
    _ view: MemoryView, _ linear: UInt64, _ translated: PageTranslation, _ page: FoundPage
  ) {
    guard let host = unsafe page.host, !isWatched(pageOf: linear) else { return }
    unsafe softTLB.fill(
      view, linear, host: host,
      PageProperties(
        isWritable: page.isWritable, isGlobal: translated.rights.contains(.global),
        isLarge: translated.pageShift > 12))
  }

  /// Makes sure that nobody writes unseen to a page whose code is about to be translated.
  ///
  /// - Returns: False where the others had to stand still for that: what this processor relied on
  ///   may have changed, and it must look again.
  func claimCode(_ slot: PhysicalSlot, _ physical: UInt64) -> Bool {
    let state = slot.state(of: physical)
    let old = state.change { $0.translator = PageState.adding(number, to: $0.translator) }
    guard old.writer != 0 else { return true }
    let page = unsafe UInt64(UInt(bitPattern: slot.pointer(to: physical & ~0xfff)))
    softTLB.protect(hostPage: page)
    guard old.writer != number else {
      state.change { $0.writer = 0 }
      return true
    }
    group.exclusively(self) { $0.softTLB.protect(hostPage: page) }
    // From the first change on, nobody has been admitted.
    state.change { $0.writer = 0 }
    return false
  }

  /// Tells the translator that guest memory changed, which any processor may have translated.
  ///
  /// This processor forgets at once; the others do in ``settleWithOthers()``, which must follow.
  func noteCodeWrite(physical: UInt64, count: Int) {
    guard count > 0 else { return }
    let inPage = 0x1000 - Int(physical & 0xfff)
    if count > inPage { noteCodeWrite(physical: physical &+ UInt64(inPage), count: count - inPage) }
    guard let slot = slots.find(physical) else { return }
    // A translator marks the pieces, then reads; we have written, and now look at the marks.
    atomicMemoryFence(ordering: .sequentiallyConsistent)
    let state = slot.state(of: physical).value
    let pieces = PageState.pieces(at: physical, count: min(count, inPage))
    if PageState.names(number, state.translator) {
      forgetCode(slot, physical, min(count, inPage))
    }
    if state.translator != number && state.pieces & pieces != 0 {
      run.foreignCodeFrom = min(run.foreignCodeFrom, physical)
      run.foreignCodeTo = max(run.foreignCodeTo, physical &+ UInt64(min(count, inPage)))
      run.codeWriteSeen = 1
    }
  }

  private func forgetCode(_ slot: PhysicalSlot, _ physical: UInt64, _ count: Int) {
    let result = translation.store.invalidate(physical: physical, count: count)
    if !result.remains {
      slot.state(of: physical).change { state in
        if state.translator == number { (state.translator, state.pieces) = (0, 0) }
      }
    }
    if result.dropped {
      jumpCache.flush(keepingGlobal: false)
      run.codeWriteSeen = 1
    }
  }

  /// Before the guest goes on: has the other processors forget what this one wrote over, and lets
  /// them go on after a locked instruction.
  @inline(always)
  func settleWithOthers() {
    if run.foreignCodeTo != 0 { revokeForeignCode() }
    if run.isLocked != 0 { letOthersIn() }
  }

  private func revokeForeignCode() {
    let pages = (run.foreignCodeFrom & ~0xfff)..<((run.foreignCodeTo &+ 0xfff) & ~0xfff)
    (run.foreignCodeFrom, run.foreignCodeTo) = (.max, 0)
    let isHeld = run.isLocked != 0
    if !isHeld { group.begin(self) }
    group.forEachOther(than: self) { $0.forgetCode(in: pages) }
    for page in stride(from: pages.lowerBound, to: pages.upperBound, by: 4096) {
      guard let slot = slots.find(page) else { continue }
      let keeps = translation.store.hasBlock(inPage: page >> 12)
      slot.state(of: page).change { state in
        if keeps { state.translator = number } else { (state.translator, state.pieces) = (0, 0) }
      }
    }
    if !isHeld { group.end() }
  }

  /// Drops all blocks of some pages. The processor stands still, or it is its own thread.
  func forgetCode(in pages: Range<UInt64>) {
    if pages.count <= 64 * 4096 {
      for page in stride(from: pages.lowerBound, to: pages.upperBound, by: 4096) {
        _ = translation.store.invalidate(physical: page, count: 4096)
      }
    } else {
      translation.store.invalidate(pages)
    }
    jumpCache.flush(keepingGlobal: false)
    run.codeWriteSeen = 1
  }

  // MARK: Waiting

  /// Calls the machine around the processor, which may take its time: the others need not wait.
  /// When it returns, memory slots and blocks may have changed.
  @inline(always)
  func outside<Result>(_ call: () -> Result) -> Result {
    // Not so when registers are read and written between runs.
    guard activity.load(ordering: .relaxed) != 0 else { return call() }
    settleWithOthers()
    group.leave(self)
    defer { group.enter(self) }
    return call()
  }

  /// Uses the processor's tables, in a run or between two.
  @inline(always)
  func inside<Result>(_ body: () -> Result) -> Result {
    guard activity.load(ordering: .relaxed) == 0 else { return body() }
    group.enter(self)
    defer { group.leave(self) }
    return body()
  }

  /// PAUSE, once in many times.
  func letOthersRun() -> Outcome {
    run.pausesLeft = RunState.pausesPerTurn
    if group.isPlural { sched_yield() }
    return .next
  }

  // MARK: Locked instructions

  /// Has the others stand still until a locked instruction that straddles pages is complete.
  func lockOthersOut(_ site: AccessSite) {
    guard group.isPlural else { return }
    guard instructionAtPointer().isLocked else { return }
    group.begin(self)
    run.isLocked = 1
  }

  private func letOthersIn() {
    run.isLocked = 0
    group.end()
  }
}

extension Instruction {
  /// Whether it locks the bus: by a prefix, or because it is XCHG with memory.
  var isLocked: Bool {
    prefixes.contains(.lock) || (map == .oneByte && opcode & 0xfe == 0x86 && hasMemory)
  }
}

extension ProcessorGroup {
  /// Tells the engine that somebody outside it changed guest memory, of which it may have
  /// translated code. On any thread, but not on one that is inside a run.
  package func memoryChanged(at physical: UInt64, count: Int) {
    guard count > 0 else { return }
    let end = physical + UInt64(count)
    let pages = (physical & ~0xfff)..<((end + 0xfff) & ~0xfff)
    guard isTranslated(pages) else { return }
    exclusively(nil) { $0.forgetCode(in: pages) }
  }
}
