public import CLinux
public import KVM

extension FloatingPointState {
  public init(_ values: kvm_fpu) {
    self.init()
    stack = fixed(values.fpr)
    (controlWord, statusWord, tagWord) = (values.fcw, values.fsw, values.ftwx)
    lastOpcode = values.last_opcode
    (lastInstruction, lastOperand) = (values.last_ip, values.last_dp)
    vectors = fixed(values.xmm)
    mxcsr = values.mxcsr
  }
}

extension kvm_fpu {
  public init(_ values: FloatingPointState) {
    self.init()
    fpr = tuple(values.stack)
    (fcw, fsw, ftwx) = (values.controlWord, values.statusWord, values.tagWord)
    last_opcode = values.lastOpcode
    (last_ip, last_dp) = (values.lastInstruction, values.lastOperand)
    xmm = tuple(values.vectors)
    mxcsr = values.mxcsr
  }
}

extension kvm_xcrs {
  /// 16 registers at most.
  public init(_ registers: [ExtendedControlRegister]) {
    self.init()
    var table = FixedArray<16, kvm_xcr>(repeating: kvm_xcr())
    for (index, register) in registers.prefix(16).enumerated() {
      table[index] = kvm_xcr(xcr: register.number, reserved: 0, value: register.value)
    }
    nr_xcrs = UInt32(min(registers.count, 16))
    xcrs = tuple(table)
  }

  public var registers: [ExtendedControlRegister] {
    let table: FixedArray<16, kvm_xcr> = fixed(xcrs)
    return (0..<min(Int(nr_xcrs), 16)).map {
      ExtendedControlRegister(table[$0].xcr, table[$0].value)
    }
  }
}

extension NestedState {
  /// From the bytes of `struct kvm_nested_state`; `nil` when they are too few.
  public init?(bytes: [UInt8]) {
    guard bytes.count >= 128 else { return nil }
    func number(_ offset: Int, _ count: Int) -> UInt32 {
      bytes[offset..<offset + count].reversed().reduce(0) { $0 << 8 | UInt32($1) }
    }
    let size = Int(number(4, 4))
    guard size >= 128, size <= bytes.count else { return nil }
    self.init(
      flags: UInt16(number(0, 2)), format: UInt16(number(2, 2)), payload: Array(bytes[8..<size]))
  }

  /// The bytes of `struct kvm_nested_state`.
  public var bytes: [UInt8] {
    let size = UInt32(payload.count + 8)
    let header = [flags & 0xff, flags >> 8, format & 0xff, format >> 8].map { UInt8($0) }
    return header + (0..<4).map { UInt8(truncatingIfNeeded: size >> ($0 * 8)) } + payload
  }
}
