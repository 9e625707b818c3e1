/// The x87 and SSE registers (`struct kvm_fpu`).
public struct FloatingPointState: Hashable, Sendable, BitwiseCopyable {
  /// ST(0) to ST(7), 10 bytes each and 6 of padding.
  public var stack = FixedArray<8, FixedArray<16, UInt8>>(repeating: FixedArray(repeating: 0))
  public var controlWord: UInt16 = 0x37f
  public var statusWord: UInt16 = 0
  /// A bit for each register that is in use, as FXSAVE stores it.
  public var tagWord: UInt8 = 0
  public var lastOpcode: UInt16 = 0
  public var lastInstruction: UInt64 = 0
  public var lastOperand: UInt64 = 0
  /// XMM0 to XMM15.
  public var vectors = FixedArray<16, FixedArray<16, UInt8>>(repeating: FixedArray(repeating: 0))
  public var mxcsr: UInt32 = 0x1f80

  /// The state after FNINIT.
  public init() {}
}

/// All state that XSAVE manages, in its standard format (`struct kvm_xsave`).
///
/// Reference: SDM vol. 1, section 13.4.
public struct ExtendedState: Hashable, Sendable {
  /// At least 4096 bytes.
  public var bytes: [UInt8]

  public init(bytes: [UInt8]) { self.bytes = bytes }
}

/// An extended control register and its value (`struct kvm_xcr`); 0 is XCR0.
public struct ExtendedControlRegister: Hashable, Sendable, BitwiseCopyable {
  public var number: UInt32
  public var value: UInt64

  public init(_ number: UInt32, _ value: UInt64) {
    self.number = number
    self.value = value
  }
}
