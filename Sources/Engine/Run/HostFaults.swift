internal import CLinux
import Glibc
internal import X86

extension CodeCache {
  /// Has faults in this cache's code lead to `thunk`, with RCX the signal and R11 the address.
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
  func hostFault(signal: UInt64, at address: UInt64) -> UInt64 {
    let (signal, code) = (Int32(signal & 0xff), Int32(truncatingIfNeeded: signal >> 8))
    guard let place = translation.store.guestPlace(of: address) else {
      preconditionFailure("a host fault outside any block: the engine emitted wrong code")
    }
    setInstructionPointer(offset: place.offset)
    switch signal {
    case SIGFPE:
      if code == FPE_INTDIV_CODE { return fault(GuestFault(.divideError)) }
      return fault(GuestFault(place.isVector ? .simdFloatingPoint : .floatingPoint))
    case SIGILL: return fault(.undefined)
    case SIGBUS: return fault(GuestFault(.alignmentCheck))
    default: return fault(.protection)
    }
  }
}

/// `si_code` of SIGFPE for an integer division.
private let FPE_INTDIV_CODE: Int32 = 1

extension BlockStore {
  /// The guest instruction that a host address in a block belongs to: its offset in its page, and
  /// whether the host instruction there is an SSE or AVX one.
  func guestPlace(of address: UInt64) -> (offset: UInt64, isVector: Bool)? {
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
      if host < start + UInt32(entry.hostBytes) { break }
      start += UInt32(entry.hostBytes)
      guest += UInt64(entry.guestBytes)
    }
    let isX87 =
      unsafe cache.write(at: host).pointee & 0xf8 == 0xd8
      || cache.write(at: host).pointee == 0x9b
    return (guest, !isX87)
  }
}
