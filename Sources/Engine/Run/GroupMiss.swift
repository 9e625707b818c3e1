extension Thunks {
  /// What comes before the helper of a group's check that failed, with its arguments in place: where
  /// a page ends in the group, no helper is needed to go on behind the jump back.
  static func emitGroupMiss(_ writer: inout CodeWriter) {
    let site = HostOperand.state(StateLayout.run(\.groupSite))
    let address = HostOperand.state(StateLayout.run(\.groupAddress))
    let pageMask = HostOperand.state(StateLayout.run(\.pageMask))
    writer.store(.scratch, site)
    writer.store(.address, address)
    writer.extractBits(.scratch, .scratch, mask: .state(StateLayout.run(\.siteSizeMask)))
    writer.add(.scratch, .address, .scratch, -1)
    writer.extractBits(.scratch, .scratch, mask: pageMask)
    writer.extractBits(.address, .address, mask: pageMask)
    writer.bytes(0x48, 0xf7, 0xd1)  // not rcx
    writer.add(.scratch, .scratch, .address, 1)
    writer.bytes(0xe3, 0)  // jrcxz: one page
    let start = unsafe writer.cursor
    writer.bytes(0x48, 0x8b, 0x0c)
    writer.byte(0x24)  // mov rcx, [rsp]
    writer.add(.scratch, .scratch, nil, Int32(Processor.behindJump))
    writer.bytes(0x48, 0x89, 0x0c)
    writer.byte(0x24)  // mov [rsp], rcx
    writer.byte(0xc3)  // ret
    unsafe (start - 1).pointee = UInt8(writer.cursor - start)
    writer.load(.scratch, site)
    writer.load(.address, address)
    while unsafe UInt(bitPattern: writer.cursor) & 15 != 0 { writer.byte(0x90) }
  }
}

extension Processor {
  /// Length of the jump that a stub has behind its call.
  static let behindJump: UInt64 = 5

  /// Enters the page of a group of accesses in the soft TLB, as far as the first of them may.
  ///
  /// - Returns: Where to go on: the check, or behind the jump there, if it would fail again.
  func fillForGroup(_ site: AccessSite, _ linear: UInt64, _ continuation: UInt64) -> UInt64 {
    let isWrite = site.access.contains(.write)
    if let translated = try? translate(linear, isWrite ? dataWrite : dataRead) {
      let found = findPage(translated, linear, write: isWrite)
      if found.isDirect { fillTLB(memoryView, linear, translated, found) }
    }
    let isReady = unsafe softTLB.lookup(memoryView, linear, write: site.isGroupWritten) != nil
    return isReady ? continuation : continuation + Self.behindJump
  }
}
