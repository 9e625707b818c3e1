/// What ``CPUState/interruptShadow`` says: STI, MOV SS and POP SS hold interrupts off until the next
/// instruction is done. Zero without a shadow.
package enum InterruptShadow {
  /// Behind STI, and behind MOV SS or POP SS: the instruction that is covered has not begun.
  package static let setInterrupt: UInt8 = 1
  package static let stackSegment: UInt8 = 5
  /// The same while it runs.
  static let isRunning: UInt8 = 2

  /// Whether a shadow is the stack segment's, which holds off debug traps, too.
  package static func isOfStack(_ shadow: UInt8) -> Bool { shadow & 4 != 0 }
}
