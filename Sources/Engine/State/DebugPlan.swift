internal import X86

/// What somebody outside the guest wants to see of it: single steps, breakpoints.
///
/// Reference: KVM API, section 4.87, "KVM_SET_GUEST_DEBUG".
package struct DebugPlan: BitwiseCopyable {
  /// Each instruction ends the run.
  package var isStepping = false
  /// INT3 ends the run.
  package var catchesBreakpoints = false
  /// ``registers`` count, instead of the guest's own.
  package var usesHardware = false
  /// Steps take no interrupts.
  package var blocksInterrupts = false
  /// DR0 to DR7.
  package var registers: InlineArray<8, UInt64> = .init(repeating: 0)

  package init() {}
}

/// What ended a run with ``StopReason/debug``.
package struct DebugReport: BitwiseCopyable {
  package var vector: UInt8 = 1
  package var dr6: UInt64 = 0
}

/// Fields of DR6 and DR7. Reference: SDM vol. 3B, section 18.2.
enum DebugBits {
  static let alwaysSet: UInt64 = 0xffff_0ff0
  static let generalDetect: UInt64 = 1 << 13
  static let singleStep: UInt64 = 1 << 14
  /// Breakpoints, general detection, single step, task switch.
  static let causes: UInt64 = 0xe00f
}

/// One of the four breakpoints that a set of debug registers says.
struct Breakpoint: BitwiseCopyable {
  enum Kind: UInt64, BitwiseCopyable { case execution, write, port, access }

  var kind: Kind
  var address: UInt64
  var size: UInt64

  /// The breakpoint of DR`index`, if DR7 enables it.
  init?(_ index: Int, _ registers: InlineArray<8, UInt64>) {
    let control = registers[7]
    guard control >> UInt64(2 * index) & 3 != 0 else { return nil }
    let field = control >> UInt64(16 + 4 * index)
    kind = Kind(rawValue: field & 3) ?? .execution
    let sizes: InlineArray<4, UInt64> = [1, 2, 8, 4]
    size = sizes[Int(field >> 2 & 3)]
    address = registers[index] & ~(size - 1)
  }

  func overlaps(_ start: UInt64, _ count: UInt64) -> Bool {
    address &- start < count || start &- address < size
  }
}
