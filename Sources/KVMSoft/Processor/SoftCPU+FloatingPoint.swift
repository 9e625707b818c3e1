import Engine
import Glibc
public import KVM

extension SoftCPU: FloatingPointCPU {
  /// Bytes of an image with room for what is to come.
  private static let imageSize = 4096

  public func extendedState() throws(KVMError) -> ExtendedState {
    let image = processor.extendedImage
    return ExtendedState(
      bytes: image + [UInt8](repeating: 0, count: Self.imageSize - image.count))
  }

  public func setExtendedState(_ state: ExtendedState) throws(KVMError) {
    finishInstruction()
    guard processor.setExtendedImage(state.bytes, components: CPUIDLeaves.states) else {
      throw .refused(call: "KVM_SET_XSAVE", errno: EINVAL)
    }
  }

  public func extendedControlRegisters() throws(KVMError) -> [ExtendedControlRegister] {
    [ExtendedControlRegister(0, processor.cpu.xcr0)]
  }

  /// As XSETBV: x87 always, SSE with AVX. Others than XCR0 are ignored, as KVM does.
  public func setExtendedControlRegisters(
    _ registers: [ExtendedControlRegister]
  ) throws(KVMError) {
    finishInstruction()
    for register in registers where register.number == 0 {
      let value = register.value
      guard value & ~CPUIDLeaves.states == 0, value & 1 != 0, value & 6 != 4 else {
        throw .refused(call: "KVM_SET_XCRS", errno: EINVAL)
      }
      processor.cpu.xcr0 = value
    }
  }

  public func floatingPoint() throws(KVMError) -> FloatingPointState {
    let image = processor.extendedImage
    var state = FloatingPointState()
    state.controlWord = UInt16(image[0]) | UInt16(image[1]) << 8
    state.statusWord = UInt16(image[2]) | UInt16(image[3]) << 8
    state.tagWord = image[4]
    state.lastOpcode = UInt16(image[6]) | UInt16(image[7]) << 8
    state.lastInstruction = Self.number(image, at: 8)
    state.lastOperand = Self.number(image, at: 16)
    state.mxcsr = UInt32(truncatingIfNeeded: Self.number(image, at: 24))
    for byte in 0..<128 { state.stack[byte / 16][byte % 16] = image[32 + byte] }
    for byte in 0..<256 { state.vectors[byte / 16][byte % 16] = image[160 + byte] }
    return state
  }

  public func setFloatingPoint(_ state: FloatingPointState) throws(KVMError) {
    finishInstruction()
    var image = processor.extendedImage
    Self.put(UInt64(state.controlWord), 2, &image, at: 0)
    Self.put(UInt64(state.statusWord), 2, &image, at: 2)
    image[4] = state.tagWord
    Self.put(UInt64(state.lastOpcode), 2, &image, at: 6)
    Self.put(state.lastInstruction, 8, &image, at: 8)
    Self.put(state.lastOperand, 8, &image, at: 16)
    Self.put(UInt64(state.mxcsr) & 0xffff, 4, &image, at: 24)
    for byte in 0..<128 { image[32 + byte] = state.stack[byte / 16][byte % 16] }
    for byte in 0..<256 { image[160 + byte] = state.vectors[byte / 16][byte % 16] }
    // x87 and SSE are not in their initial state now.
    image[512] |= 3
    _ = processor.setExtendedImage(image, components: CPUIDLeaves.states)
  }

  private static func number(_ image: [UInt8], at offset: Int) -> UInt64 {
    image[offset..<offset + 8].reversed().reduce(0) { $0 << 8 | UInt64($1) }
  }

  private static func put(_ value: UInt64, _ size: Int, _ image: inout [UInt8], at offset: Int) {
    for byte in 0..<size {
      image[offset + byte] = UInt8(truncatingIfNeeded: value >> UInt64(byte * 8))
    }
  }
}
