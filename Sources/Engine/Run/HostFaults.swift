internal import CLinux
import Glibc
internal import Host
internal import X86

extension CodeCache {
  /// Has faults in this cache's code lead to thunks, with RCX the vector and R11 the address.
  func armFaultHandler(_ thunks: Thunks) throws(SystemError) {
    let strings = thunks.strings.range
    let parts: [(Range<UInt32>, UInt32)] = [
      (0..<strings.lowerBound, thunks.hostFault), (strings, thunks.strings.fault),
      (strings.upperBound..<UInt32(Self.size), thunks.hostFault),
    ]
    for (range, thunk) in parts {
      let (start, end) = (run(at: range.lowerBound), run(at: range.upperBound))
      guard apus_guard_code(UInt(start), UInt(end), UInt(run(at: thunk))) == 0 else {
        throw SystemError(call: "apus_guard_code", errno: ENOSPC)
      }
    }
  }

  /// Ends that.
  func disarmFaultHandler(_ thunks: Thunks) {
    let strings = thunks.strings.range
    for start in [0, strings.lowerBound, strings.upperBound] {
      apus_forget_code(UInt(run(at: start)))
    }
  }
}

extension Processor {
  /// Turns a fault of the host's processor into the guest's.
  ///
  /// Only instructions that are the guest's own can fault in translated code: a division, a
  /// floating-point exception, an operand that is not aligned.
  func hostFault(vector: UInt64, at address: UInt64) -> UInt64 {
    let isMemory = vector == UInt64(ExceptionVector.pageFault.rawValue)
    if isMemory, let (shift, isMove) = stringRoutine(at: address) {
      undoString(shift: shift, isMove: isMove)
      return leave(.badMemory)
    }
    guard let (_, place) = translation.store.guestPlace(of: address) else {
      preconditionFailure("a host fault outside any block: the engine emitted wrong code")
    }
    // Among the rare parts is the copy of the instruction that works on the bounce buffer.
    setInstructionPointer(offset: place ?? run.bounceOffset)
    if isMemory { return leave(.badMemory) }
    switch ExceptionVector(rawValue: UInt8(truncatingIfNeeded: vector)) {
    case .divideError: return fault(GuestFault(.divideError))
    case .floatingPoint: return fault(GuestFault(.floatingPoint))
    case .simdFloatingPoint: return fault(GuestFault(.simdFloatingPoint))
    case .invalidOpcode: return fault(.undefined)
    case .alignmentCheck: return fault(GuestFault(.alignmentCheck))
    default: return fault(.protection)
    }
  }
}

// Memory of a slot that this process cannot reach ends the run; so says KVM.
extension Processor {
  /// The string routine that an address is in: log2 of its element's size, and whether it moves.
  private func stringRoutine(at address: UInt64) -> (shift: UInt64, isMove: Bool)? {
    translation.store.cache.offset(running: address).flatMap(translation.thunks.strings.kind)
  }

  /// Takes back what a string routine has advanced registers by, as far as it has not come.
  private func undoString(shift: UInt64, isMove: Bool) {
    let left = unsafe recovery.pointee.count
    cpu.registers[1] &+= left
    cpu.registers[7] &-= left &<< shift
    if isMove { cpu.registers[6] &-= left &<< shift }
    setInstructionPointer(offset: UInt64(translation.sites[Int(run.spill[2])].offset))
  }

  /// Where the guest's memory is that ended the run with ``StopReason/badMemory``.
  func findBadMemory() {
    guard let physical = slots.physical(ofHost: unsafe UInt64(recovery.pointee.address)) else {
      preconditionFailure("the engine accessed memory that is not the guest's")
    }
    badAddress = AddressSpace.guestAddress(physical)
  }
}

extension BlockStore {
  /// The first block for which something holds that holds for all behind it.
  private func firstBlock(where holds: (Block) -> Bool) -> Int {
    var (low, high) = (1, count.blocks)
    while low < high {
      let middle = (low + high) / 2
      if holds(self[block: Int32(middle)]) { high = middle } else { low = middle + 1 }
    }
    return low
  }

  /// The block that a host address lies in, and the guest instruction that it belongs to by its
  /// offset in its page; that is `nil` in the block's rarely run parts.
  func guestPlace(of address: UInt64) -> (block: Int32, offset: UInt64?)? {
    guard let host = cache.offset(running: address) else { return nil }
    if host >= CodeCache.coldStart {
      let low = firstBlock { $0.coldEnd > host }
      guard low < count.blocks, self[block: Int32(low)].coldStart <= host else { return nil }
      return (Int32(low), nil)
    }
    let low = firstBlock { $0.end > host }
    guard low < count.blocks, self[block: Int32(low)].crossPageEntry <= host else { return nil }
    let block = self[block: Int32(low)]
    var start = block.entry
    let guest = block.physical & 0xfff
    for index in 0..<Int(block.instructionCount) {
      let entry = unsafe side[Int(block.sideTable) + index]
      if host < start + UInt32(entry.hostBytes) {
        return (Int32(low), guest + UInt64(entry.guestOffset))
      }
      start += UInt32(entry.hostBytes)
    }
    return (Int32(low), nil)
  }
}
