internal import Bits
internal import Host

/// The stack that translated code runs on: where guest calls and returns become the host's.
///
/// A guest call pushes its return address here, too, and then calls; a guest return that finds the
/// same address on top returns, which the host's processor predicts. Any other return empties the
/// stack and looks its target up. Entries are two words: where the host goes on, and the guest's
/// linear address (plus one in supervisor code, so that user code never finds its entries). They
/// hold only as long as the mappings do, so whatever flushes translations empties the stack.
///
/// Signal handlers of the client may run on it: at least 128 KiB stay free for them. Helpers run
/// on the stack of the thread.
@safe
final class ReturnStack {
  /// Aligned to its size, so that a few bits of the stack pointer tell how full it is.
  static let size = 1 << 20
  static let fullMask: UInt64 = 0xe_0000
  private let memory: Mapping
  let top: UInt64

  /// - Parameter bottom: Host address of the code that a return from the last entry goes to.
  init(bottom: UInt64) throws(SystemError) {
    memory = try Mapping(anonymous: 2 * Self.size)
    let start = UInt(bitPattern: unsafe memory.base).rounded(upTo: UInt(Self.size))
    top = UInt64(start) + UInt64(Self.size) - 64
    let entry = unsafe UnsafeMutablePointer<UInt64>(bitPattern: UInt(top))
    unsafe entry?[0] = bottom
    // No address is like this: a return here finds its target, and the fault, in the lookup.
    unsafe entry?[1] = 1 << 62
  }
}

extension Processor {
  /// Empties the return stack, once the helper that runs now returns to translated code.
  func forgetReturns() { run.returnStack = run.returnStackTop }
}
