// What emitted code calls. Each is entered through a thunk, with the guest's registers in the
// state block, and returns the host address to go on at.

@inline(always)
private func with(_ processor: UInt64, _ body: (Processor) -> UInt64) -> UInt64 {
  guard let pointer = unsafe UnsafeRawPointer(bitPattern: UInt(processor)) else { return 0 }
  return unsafe Unmanaged<Processor>.fromOpaque(pointer)._withUnsafeGuaranteedRef { body($0) }
}

/// A run begins.
let helperBegin: Helper = { processor, _, _, _ in
  with(processor) { $0.dispatch() }
}

/// A memory access missed the soft TLB. `info` is an ``AccessSite``, `linear` the address.
let helperAccess: Helper = { processor, info, linear, continuation in
  with(processor) {
    $0.access(AccessSite(rawValue: UInt32(truncatingIfNeeded: info)), linear, continuation)
  }
}

/// The check of a group of accesses failed. `info` is the first's ``AccessSite``, whose size is the
/// group's; `linear` its lowest address.
let helperGroup: Helper = { processor, info, linear, continuation in
  with(processor) {
    $0.fillForGroup(AccessSite(rawValue: UInt32(truncatingIfNeeded: info)), linear, continuation)
  }
}

/// An access that a segment may not allow. `info` is a ``SegmentSite``, `offset` the offset.
let helperSegment: Helper = { processor, info, offset, continuation in
  with(processor) {
    $0.checkSegment(SegmentSite(rawValue: UInt32(truncatingIfNeeded: info)), offset, continuation)
  }
}

/// A write is complete in the bounce buffer. `info` is the next instruction's offset in the page,
/// with bit 16 set where the block may be left for it.
let helperCommit: Helper = { processor, info, _, continuation in
  with(processor) { $0.commit(info, continuation) }
}

/// A privileged or otherwise special instruction. `info` is its index in the ``SiteStore``.
let helperSystem: Helper = { processor, info, _, continuation in
  with(processor) { $0.executeSite(Int(info), continuation) }
}

/// A direct jump within a page that is not linked yet. `info` is the exit's index.
let helperLink: Helper = { processor, info, _, _ in
  with(processor) { $0.follow(Int32(truncatingIfNeeded: info)) }
}

/// A jump whose target, the linear address `target`, is not in the jump cache.
let helperFind: Helper = { processor, _, target, continuation in
  with(processor) { $0.jump(to: target, from: continuation) }
}

/// The attention word is set. `info` is the offset in the page of the instruction to come.
let helperAttention: Helper = { processor, info, _, _ in
  with(processor) {
    $0.setInstructionPointer(offset: info)
    return $0.dispatch()
  }
}

/// The translator knew that the instruction faults. `info` is its offset, and the vector above.
let helperRaise: Helper = { processor, info, _, _ in
  with(processor) { $0.raise(vector: UInt8(truncatingIfNeeded: info >> 16), offset: info) }
}

/// The host's processor faulted in translated code. `info` is the signal, `address` where.
let helperHostFault: Helper = { processor, info, address, _ in
  with(processor) { $0.hostFault(vector: info, at: address) }
}
