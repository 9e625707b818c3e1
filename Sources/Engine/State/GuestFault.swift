package import X86

/// An exception to be delivered to the guest in place of the current instruction.
package struct GuestFault: Error, BitwiseCopyable, Hashable {
  package var vector: ExceptionVector
  package var errorCode: UInt32
  /// The linear address that page faults report in CR2.
  package var address: UInt64
  /// Whether the frame has RF set although the exception is #DB: an execution breakpoint's.
  package var setsResume = false

  package init(_ vector: ExceptionVector, errorCode: UInt32 = 0, address: UInt64 = 0) {
    self.vector = vector
    self.errorCode = errorCode
    self.address = address
  }

  package static let undefined = GuestFault(.invalidOpcode)
  /// #UD of code that is in no memory.
  static let unreachable = GuestFault(.invalidOpcode, errorCode: 1)
  package static let protection = GuestFault(.generalProtection)
}
