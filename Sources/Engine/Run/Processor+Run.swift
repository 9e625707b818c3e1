extension Processor {
  /// Runs guest code until there is a reason to stop.
  ///
  /// Call it on one thread only, always the same. The state is complete and up to date before and
  /// after.
  package func runGuest() -> StopReason {
    group.enter(self)
    defer { group.leave(self) }
    profile?.begin()
    // What came while nothing ran, or was put off for the last stop, is looked for first.
    doorbell.ring()
    expectForeignWrites()
    let cache = translation.store.cache
    unsafe recovery.pointee.thunk = UInt(cache.run(at: translation.thunks.recover))
    let enter = unsafe unsafeBitCast(
      Int(cache.run(at: translation.thunks.enter)), to: Enter.self)
    enter(UInt64(UInt(bitPattern: unsafe state)), cache.run(at: translation.thunks.begin))
    unsafe recovery.pointee.thunk = 0
    settleWithOthers()
    if run.stopReason == UInt64(StopReason.badMemory.rawValue) { findBadMemory() }
    return StopReason(rawValue: UInt8(truncatingIfNeeded: run.stopReason)) ?? .interrupted
  }

  private typealias Enter = @convention(c) (UInt64, UInt64) -> Void
}

// What system instructions ask of the caches.
extension Processor {
  func flushAllTranslations() { inside { flush(keepingGlobal: false) } }

  /// The same, while the processor stands still for another.
  func flushCaches() { flush(keepingGlobal: false) }

  func flushNonGlobalTranslations() { flush(keepingGlobal: true) }

  private func flush(keepingGlobal: Bool) {
    softTLB.flush(keepingGlobal: keepingGlobal)
    jumpCache.flush(keepingGlobal: keepingGlobal)
    fetchTLB.flush(keepingGlobal: keepingGlobal)
    forgetReturns()
  }

  func flushTranslation(of linear: UInt64) {
    if softTLB.flush(pageOf: linear) {
      flush(keepingGlobal: false)
    } else {
      jumpCache.flush(pageOf: linear)
      fetchTLB.flush(pageOf: linear)
      forgetReturns()
    }
  }

  /// CR3 has been loaded. Translations are not kept by address space yet: `keeping` is a hint that
  /// may be ignored.
  func switchAddressSpace(keeping: Bool) { flushNonGlobalTranslations() }
}
