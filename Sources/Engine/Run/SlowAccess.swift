internal import X86

extension Processor {
  /// Resolves an access that missed the soft TLB.
  ///
  /// Plain memory enters the TLB and the access is done there. What cannot be reached by one
  /// pointer (a device, two pages, a page with translated code) is done on the bounce buffer:
  /// reads find their data there, and writes are committed from it by ``commit(_:_:)``.
  func access(_ site: AccessSite, _ linear: UInt64, _ continuation: UInt64) -> UInt64 {
    let linear = linear & linearMask
    do throws(GuestFault) {
      noteWatched(linear, site.size, isWrite: site.access.contains(.write))
      if run.debugHits != 0 && run.isAlone == 0 { return runAlone(site) }
      if Int(linear & 0xfff) + site.size <= 4096, try accessPage(site, linear) {
        return continuation
      }
      if run.isAlone == 0, try isDevice(site, linear) {
        // Afterwards nothing may be as it was.
        return runAlone(site)
      }
      try fillBounceBuffer(site, linear)
      // The way for a write on the bounce buffer lies behind the jump back to the fast path.
      return site.access.contains(.write) ? continuation + 5 : continuation
    } catch {
      setInstructionPointer(offset: site.offset)
      return faultOrMaskedMove(site, linear, error)
    }
  }

  /// Begins the instruction again in a block of its own, which ends where blocks are looked up.
  private func runAlone(_ site: AccessSite) -> UInt64 {
    setInstructionPointer(offset: site.offset)
    run.wantsAlone = 1
    // What has run before it in its block is over.
    (run.isStepping, run.debugHits) = (0, 0)
    return dispatch()
  }

  /// Delivers the fault of an access, unless it is of a masked move that touches none of the
  /// elements that cannot be reached.
  private func faultOrMaskedMove(
    _ site: AccessSite, _ linear: UInt64, _ whole: GuestFault
  ) -> UInt64 {
    var reported = whole
    if site.size >= 16 {
      do throws(GuestFault) {
        if let length = try moveMasked(at: linear) {
          advance(by: length)
          return dispatch()
        }
      } catch {
        reported = error
      }
    }
    // Addresses that are not canonical: #SS in the stack segment.
    let isStackFault = site.isStack && reported.vector == .generalProtection
    return fault(isStackFault ? GuestFault(.stackFault) : reported)
  }

  /// Points the access straight at memory.
  ///
  /// - Returns: Whether that was possible.
  private func accessPage(_ site: AccessSite, _ linear: UInt64) throws(GuestFault) -> Bool {
    let isWrite = site.access.contains(.write)
    let translated = try translate(linear, isWrite ? dataWrite : dataRead)
    let physical = translated.page | linear & 0xfff
    guard let host = unsafe isWrite ? writableHostPointer(physical) : hostPointer(physical) else {
      return false
    }
    let hasCode = translation.store.hasCode(translated.page)
    if hasCode && isWrite { return false }
    let isWritable =
      translated.rights.contains(.writableNow) && !hasCode
      && (unsafe writableHostPointer(physical) != nil)
    if !isWatched(pageOf: linear) {
      unsafe softTLB.fill(
        memoryView, linear, host: host,
        PageProperties(
          isWritable: isWritable, isGlobal: translated.rights.contains(.global),
          isLarge: translated.pageShift > 12))
    }
    run.pointer = UInt64(UInt(bitPattern: host))
    return true
  }

  /// The bounce buffer, at the place that keeps the guest address's alignment.
  private func bouncePointer(for linear: UInt64) -> UnsafeMutableRawPointer {
    unsafe UnsafeMutableRawPointer(state) + StateLayout.bounceBuffer + Int(linear & 63)
  }

  private func isDevice(_ site: AccessSite, _ linear: UInt64) throws(GuestFault) -> Bool {
    let isWrite = site.access.contains(.write)
    let window = try window(linear, site.size, as: isWrite ? dataWrite : dataRead)
    return unsafe window.first.host == nil || (window.second.count > 0 && window.second.host == nil)
  }

  private func fillBounceBuffer(_ site: AccessSite, _ linear: UInt64) throws(GuestFault) {
    let buffer = unsafe bouncePointer(for: linear)
    setInstructionPointer(offset: site.offset)
    if site.access.contains(.write) {
      // Every fault must come now: the commit cannot undo the instruction.
      let window = try window(linear, site.size, as: dataWrite)
      // x87 stores that raise an unmasked exception write nothing: the commit must not either.
      let isMemory =
        unsafe window.first.host != nil && (window.second.count == 0 || window.second.host != nil)
      if isMemory {
        unsafe copy(
          from: window, at: 0, to: UnsafeMutableRawBufferPointer(start: buffer, count: site.size))
      }
      run.bounceLinear = linear
      run.bounceOffset = site.offset
      run.bounceSize = UInt64(site.size)
    }
    if site.access.contains(.read) && site.size <= 8 {
      // One access of the size asked for: device registers care.
      let value = try readLinear(linear, size: site.size, as: dataRead)
      unsafe buffer.storeBytes(of: value, as: UInt64.self)
    } else if site.access.contains(.read) {
      unsafe try readLinear(
        linear, into: UnsafeMutableRawBufferPointer(start: buffer, count: site.size),
        as: dataRead)
    }
    run.pointer = UInt64(UInt(bitPattern: buffer))
  }

  /// Writes the bounce buffer to where it belongs.
  func commit(_ info: UInt64, _ continuation: UInt64) -> UInt64 {
    let linear = run.bounceLinear
    let size = Int(run.bounceSize)
    setInstructionPointer(linear: cpu.codePage &+ (info & 0xffff))
    let buffer = unsafe UnsafeRawBufferPointer(start: bouncePointer(for: linear), count: size)
    do throws(GuestFault) {
      if size <= 8 {
        var value: UInt64 = 0
        unsafe withUnsafeMutableBytes(of: &value) { unsafe $0.copyMemory(from: buffer) }
        try writeLinear(linear, size: size, value: value, as: dataWrite)
      } else {
        unsafe try writeLinear(linear, from: buffer, as: dataWrite)
      }
    } catch {
      // Another processor unmapped the page since the check: as if the write came before that.
    }
    guard run.codeWriteSeen != 0, info & 1 << 16 != 0 else { return continuation }
    run.codeWriteSeen = 0
    return dispatch()
  }

  /// Tells the translator that guest memory changed, which it may have translated.
  package func noteCodeWrite(physical: UInt64, count: Int) {
    let inPage = 0x1000 - Int(physical & 0xfff)
    if count > inPage { noteCodeWrite(physical: physical &+ UInt64(inPage), count: count - inPage) }
    guard translation.store.hasCode(physical), count > 0 else { return }
    if translation.store.invalidate(physical: physical, count: count) {
      jumpCache.flush(keepingGlobal: false)
      run.codeWriteSeen = 1
    }
  }

  /// Tells the engine that somebody outside it changed guest memory, in which it may have
  /// translated code. On the processor's own thread.
  package func noteMemoryChanged(at physical: UInt64, count: Int) {
    var address = physical
    let end = physical + UInt64(count)
    while address < end {
      let next = min(end, (address | 0xfff) + 1)
      noteCodeWrite(physical: address, count: Int(next - address))
      address = next
    }
  }
}
