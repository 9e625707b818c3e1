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
  /// What calls may use is the upper half, aligned so that one bit of the stack pointer tells when
  /// it is full; the lower half is for the calls that do not look, and for signal handlers.
  static let size = 1 << 20
  static let fullMask: UInt64 = 1 << 19
  private let memory: Mapping
  let top: UInt64

  /// - Parameter bottom: Host address of the code that a return from the last entry goes to.
  init(bottom: UInt64) throws(SystemError) {
    memory = try Mapping(anonymous: 3 * Self.size)
    let start = UInt(bitPattern: unsafe memory.base).rounded(upTo: UInt(Self.size))
    // Bit 19 is clear in the half that begins here, and set in the one below it.
    let upper = UInt64(start) + UInt64(Self.size)
    top = upper + UInt64(Self.size / 2) - 64
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
