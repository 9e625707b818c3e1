internal import X86

/// A guest-physical page that has code, as a fetch found it.
struct FetchedPage {
  var physical: UInt64
  var isGlobal: Bool
}

extension Processor {
  /// Finds what to run at the instruction pointer: the host address to go on at.
  ///
  /// Serves pending requests first. Any fault of the fetch is delivered on the way. This is where
  /// a processor stands still for others: it relies on nothing but its registers.
  func dispatch() -> UInt64 {
    while true {
      settleWithOthers()
      if let reason = serveRequests() { return leave(reason) }
      // After the request has been answered: whoever wants this rings first, and just once.
      group.standStillIfWanted(self)
      let linear = linearInstructionPointer
      if run.executionBreakpoints != 0, let met = meetBreakpoint(linear) {
        if case .stop(let reason) = met { return leave(reason) }
        continue
      }
      let mode = blockMode
      run.isAlone = mode.contains(.single) ? 1 : 0
      (run.wantsAlone, run.wantsUngrouped) = (0, 0)
      if let known = knownEntry(linear, mode) { return known }
      do throws(GuestFault) {
        let index = try block(at: linear, mode)
        return translation.store.cache.run(at: translation.store[block: index].entry)
      } catch {
        run.isStepping = 0
        if isUnreachable(error) { return leave(.unreachableCode) }
        if case .stop(let reason) = deliver(fault: error) { return leave(reason) }
      }
    }
  }

  /// The address of the way out of translated code.
  func leave(_ reason: StopReason) -> UInt64 {
    settleWithOthers()
    run.stopReason = UInt64(reason.rawValue)
    return translation.store.cache.run(at: translation.thunks.leave)
  }

  /// The mode that the next block is translated for.
  var blockMode: BlockMode {
    let size: CodeSize =
      cpu.is64Bit ? .bits64 : cpu[.cs].attributes[.defaultBig] ? .bits32 : .bits16
    var mode = BlockMode(codeSize: size, view: memoryView)
    if cpu.privilege == 3 { mode.insert(.userPrivilege) }
    if run.timeStampScale != 1 << 48
      || cpu.privilege != 0 && cpu.cr4.contains(.timeStampDisable)
    {
      mode.insert(.timeStampTrap)
    }
    if cpu.cr4.contains(.supervisorAccessPrevention) { mode.insert(.guardsUserPages) }
    if cpu.systemFlags & RFLAGS.direction.rawValue != 0 { mode.insert(.backward) }
    mode.formUnion(size == .bits64 ? .flat : segmentShape)
    if !cpu.cr0.isDisjoint(with: [.taskSwitched, .emulation]) { mode.insert(.floatingTrap) }
    if !cpu.cr4.contains(.fxsr) { mode.insert(.noSSE) }
    if !cpu.cr4.contains(.xsave) || cpu.xcr0 & 6 != 6 { mode.insert(.noAVX) }
    if run.wantsUngrouped != 0 { mode.insert(.ungrouped) }
    if (run.wantsAlone | run.isStepping) != 0 || cpu.interruptShadow != 0 { mode.insert(.single) }
    return mode
  }

  /// Whose eyes data accesses see memory with.
  var memoryView: MemoryView {
    if cpu.privilege == 3 { return .user }
    let isGuarded =
      cpu.cr4.contains(.supervisorAccessPrevention)
      && cpu.systemFlags & RFLAGS.alignmentCheck.rawValue == 0
    return isGuarded ? .supervisor : .supervisorAllowingUser
  }

  /// The linear address of the instruction pointer.
  var linearInstructionPointer: UInt64 {
    if cpu.is64Bit { return cpu.instructionPointer }
    return (cpu[.cs].base &+ cpu.instructionPointer) & 0xffff_ffff
  }

  /// The entry that the jump cache has for a linear address.
  @inline(always)
  private func knownEntry(_ linear: UInt64, _ mode: BlockMode) -> UInt64? {
    let view = Int(mode.view.rawValue)
    guard run.jumpCacheModes[view] == mode.rawValue, run.jumpCachePlaces[view] == codePlace else {
      return nil
    }
    guard let target = jumpCache.target(mode.view, linear: linear) else { return nil }
    run.pointer = linear  // The thunk puts it in R11.
    return target
  }

  /// The block at a linear address. Other processors may interfere for a while only: they wait for
  /// this one when they write over code.
  private func block(at linear: UInt64, _ mode: BlockMode) throws(GuestFault) -> Int32 {
    while true {
      if let index = try findBlock(linear, mode) { return index }
    }
  }

  /// Finds or makes the block at a linear address, and enters it in the jump cache; `nil` when
  /// another processor interfered, and all must be looked up again.
  private func findBlock(_ linear: UInt64, _ pageless: BlockMode) throws(GuestFault) -> Int32? {
    let mode = try addingCodeLimits(to: pageless, at: linear)
    let page = try fetchPage(linear)
    let physical = page.physical | linear & 0xfff
    var index = translation.store.find(physical, mode)
    if index != 0 && translation.store[block: index].secondPage != 0 {
      index = try checkStraddling(index, linear)
    }
    if index == 0 {
      guard let made = try translateBlock(physical, linear, mode) else { return nil }
      index = made
    }
    cpu.codePage = linear & ~0xfff
    if mode.isDisjoint(with: [.single, .ungrouped]) {
      useJumpCache(for: pageless)
      let entry = translation.store[block: index].crossPageEntry
      jumpCache.enter(
        mode.view, linear: linear, target: translation.store.cache.run(at: entry),
        isGlobal: page.isGlobal)
    }
    return index
  }

  /// A jump cache serves one mode and one code segment at a time.
  private func useJumpCache(for mode: BlockMode) {
    let view = Int(mode.view.rawValue)
    let place = codePlace
    if run.jumpCacheModes[view] != mode.rawValue || run.jumpCachePlaces[view] != place {
      run.jumpCacheModes[view] = mode.rawValue
      run.jumpCachePlaces[view] = place
      jumpCache.flush(mode.view, keepingGlobal: false)
      forgetReturns()
    }
  }

  func fetchPage(_ linear: UInt64) throws(GuestFault) -> FetchedPage {
    let isUser = cpu.privilege == 3
    if let found = fetchTLB.find(linear, user: isUser) {
      return FetchedPage(physical: found.physical, isGlobal: found.isGlobal)
    }
    let translated = try translate(linear, isUser ? [.execute, .user] : .execute)
    let isGlobal = translated.rights.contains(.global)
    if translated.pageShift > 12 {
      softTLB.noteLargePage(memoryView, linear & ~0xfff)
    }
    compareCode(inPage: translated.page)
    fetchTLB.enter(linear, physical: translated.page, user: isUser, isGlobal: isGlobal)
    return FetchedPage(physical: translated.page, isGlobal: isGlobal)
  }

  /// Whether a block that reaches into the next page still finds the same page there.
  private func checkStraddling(_ index: Int32, _ linear: UInt64) throws(GuestFault) -> Int32 {
    let next = try fetchPage((linear & ~0xfff) &+ 4096)
    if translation.store[block: index].secondPage == next.physical >> 12 { return index }
    let block = translation.store[block: index]
    _ = translation.store.invalidate(physical: block.physical, count: 1)
    return 0
  }

  /// Whether code is where no memory is. Like KVM, which would have to emulate it: that ends the run
  /// for the most privileged code, and is #UD for other code unless the machine wants to know.
  private func isUnreachable(_ fault: GuestFault) -> Bool {
    fault == .unreachable && (cpu.privilege == 0 || environment.stopsAtUnreachableCode)
  }
}
