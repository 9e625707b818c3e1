internal import CLinux
import Glibc
internal import X86

extension CodeCache {
  /// Has faults in this cache's code lead to `thunk`, with RCX the vector and R11 the address.
  func armFaultHandler(thunk: UInt32) {
    let start = run(at: 0)
    _ = apus_guard_code(UInt(start), UInt(start) + UInt(Self.size), UInt(run(at: thunk)))
  }
}

extension Processor {
  /// Turns a fault of the host's processor into the guest's.
  ///
  /// Only instructions that are the guest's own can fault in translated code: a division, a
  /// floating-point exception, an operand that is not aligned.
  func hostFault(vector: UInt64, at address: UInt64) -> UInt64 {
    guard let (_, place) = translation.store.guestPlace(of: address) else {
      preconditionFailure("a host fault outside any block: the engine emitted wrong code")
    }
    // Behind the block is the copy of the instruction that works on the bounce buffer.
    setInstructionPointer(offset: place ?? run.bounceOffset)
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

extension BlockStore {
  /// The block that a host address lies in, and the guest instruction that it belongs to by its
  /// offset in its page; that is `nil` in the cold part behind the block's instructions.
  func guestPlace(of address: UInt64) -> (block: Int32, offset: UInt64?)? {
    guard let host = cache.offset(running: address) else { return nil }
    var (low, high) = (1, count.blocks)
    while low < high {
      let middle = (low + high) / 2
      if self[block: Int32(middle)].end <= host { low = middle + 1 } else { high = middle }
    }
    guard low < count.blocks, self[block: Int32(low)].crossPageEntry <= host else { return nil }
    let block = self[block: Int32(low)]
    var start = block.entry
    var guest = block.physical & 0xfff
    for index in 0..<Int(block.instructionCount) {
      let entry = unsafe side[Int(block.sideTable) + index]
      if host < start + UInt32(entry.hostBytes) { return (Int32(low), guest) }
      start += UInt32(entry.hostBytes)
      guest += UInt64(entry.guestBytes)
    }
    return (Int32(low), nil)
  }
}
