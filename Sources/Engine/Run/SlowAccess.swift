internal import X86

extension Processor {
  /// Resolves an access that missed the soft TLB.
  ///
  /// Plain memory enters the TLB and the access is done there. What cannot be reached by one
  /// pointer (a device, two pages, a page with translated code) is done on the bounce buffer:
  /// reads find their data there, and writes are committed from it by ``commit(_:_:)``.
  func access(_ site: AccessSite, _ linear: UInt64, _ continuation: UInt64) -> UInt64 {
    let linear = linear & linearMask
    setInstructionPointer(offset: site.offset)
    do throws(GuestFault) {
      noteWatched(linear, site.size, isWrite: site.access.contains(.write))
      if run.debugHits != 0 && run.isAlone == 0 { return runAlone(site) }
      if Int(linear & 0xfff) + site.size <= 4096 {
        if let entry = try accessPage(site, linear, continuation) { return entry }
      } else if site.access == .readWrite {
        lockOthersOut(site)
      }
      if run.isAlone == 0, try isDevice(site, linear) {
        // Afterwards nothing may be as it was.
        return runAlone(site)
      }
      try fillBounceBuffer(site, linear)
      return site.access.contains(.write) ? continuation + Self.bounceEntry : continuation
    } catch {
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

  /// Behind the jump back to the fast path lies the copy of the instruction for a write that has
  /// to be committed.
  private static let bounceEntry: UInt64 = 5

  /// Points the access straight at memory.
  ///
  /// - Returns: Where to go on; `nil` where no memory answers.
  private func accessPage(
    _ site: AccessSite, _ linear: UInt64, _ continuation: UInt64
  ) throws(GuestFault) -> UInt64? {
    let isWrite = site.access.contains(.write)
    let translated = try translate(linear, isWrite ? dataWrite : dataRead)
    let found = findPage(translated, linear, write: isWrite)
    guard let host = unsafe found.host else { return nil }
    run.pointer = UInt64(UInt(bitPattern: host))
    if found.isDirect {
      fillTLB(memoryView, linear, translated, found)
      return continuation
    }
    // A page with translated code: the instruction writes there, and the commit tells.
    noteBounce(site, linear)
    run.bouncePhysical = translated.page | linear & 0xfff
    return continuation + Self.bounceEntry
  }

  /// The bounce buffer, at the place that keeps the guest address's alignment. What may be locked
  /// is aligned instead: hosts punish locked accesses across cache lines.
  private func bouncePointer(_ linear: UInt64, _ isLockable: Bool) -> UnsafeMutableRawPointer {
    let offset = isLockable ? 0 : Int(linear & 63)
    return unsafe UnsafeMutableRawPointer(state) + StateLayout.bounceBuffer + offset
  }

  private func isDevice(_ site: AccessSite, _ linear: UInt64) throws(GuestFault) -> Bool {
    let isWrite = site.access.contains(.write)
    let window = try window(linear, site.size, as: isWrite ? dataWrite : dataRead)
    return unsafe window.first.host == nil || (window.second.count > 0 && window.second.host == nil)
  }

  private func fillBounceBuffer(_ site: AccessSite, _ linear: UInt64) throws(GuestFault) {
    let buffer = unsafe bouncePointer(linear, site.access == .readWrite && site.size <= 8)
    run.bouncePointer = UInt64(UInt(bitPattern: buffer))
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
      noteBounce(site, linear)
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
    run.pointer = run.bouncePointer
  }

  private func noteBounce(_ site: AccessSite, _ linear: UInt64) {
    run.bounceLinear = linear
    run.bounceOffset = site.offset
    run.bounceSize = UInt64(site.size)
    run.bouncePhysical = RunState.buffered
  }

  /// Completes a write: from the bounce buffer to where it belongs, or by telling of a change of
  /// code.
  func commit(_ info: UInt64, _ continuation: UInt64) -> UInt64 {
    setInstructionPointer(linear: cpu.codePage &+ (info & 0xffff))
    if run.bouncePhysical == RunState.buffered {
      commitBuffer()
    } else {
      noteCodeWrite(physical: run.bouncePhysical, count: Int(run.bounceSize))
    }
    settleWithOthers()
    guard run.codeWriteSeen != 0, info & 1 << 16 != 0 else { return continuation }
    run.codeWriteSeen = 0
    return dispatch()
  }

  private func commitBuffer() {
    let linear = run.bounceLinear
    let size = Int(run.bounceSize)
    let buffer = unsafe UnsafeRawBufferPointer(
      start: UnsafeRawPointer(bitPattern: UInt(run.bouncePointer)), count: size)
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
  }
}
