import Engine
import Testing

/// Decodes bytes that are expected to be one whole instruction.
func decoded(
  _ bytes: [UInt8], _ codeSize: CodeSize = .bits64, features: FeatureSet = .all
) -> (result: DecodeResult, instruction: Instruction) {
  var instruction = Instruction()
  let result = decode(
    bytes.span.bytes, codeSize: codeSize, features: features, into: &instruction)
  return (result, instruction)
}

@Test func `a store to the stack is decoded with its operands`() {
  let (result, store) = decoded([0x48, 0x89, 0x44, 0x24, 0xf8])  // mov [rsp - 8], rax
  #expect(result == .decoded)
  #expect(store.length == 5)
  #expect(store.operation == .plain)
  #expect(store.operandCount == 2)
  #expect(
    store.operands[0]
      == Operand(kind: .memory, place: .modRMMemory, access: .write, number: 0, size: 8))
  #expect(
    store.operands[1]
      == Operand(kind: .general, place: .modRMRegister, access: .read, number: 0, size: 8))
  #expect(store.base == 4 && store.index == Instruction.noRegister)
  #expect(store.displacement == -8 && store.segment == 2)
  #expect(store.memorySize == 8 && store.memoryAccess == .write)
}

@Test func `the low nibble of a condition names the flags it reads`() {
  #expect(decoded([0x74, 0xfe]).instruction.flagsRead == .zero)
  #expect(decoded([0x0f, 0x8f, 0, 0, 0, 0]).instruction.flagsRead == [.zero, .sign, .overflow])
  #expect(decoded([0x74, 0xfe]).instruction.immediate == -2)
}

@Test func `numbers 4 to 7 are high bytes without REX and low bytes with it`() {
  #expect(decoded([0x88, 0xe0]).instruction.operands[1].kind == .highByte)
  #expect(decoded([0x88, 0xe0]).instruction.operands[1].number == 0)
  #expect(decoded([0x40, 0x88, 0xe0]).instruction.operands[1].kind == .general)
  #expect(decoded([0x40, 0x88, 0xe0]).instruction.operands[1].number == 4)
}

@Test func `a shift by an immediate of zero writes no flags`() {
  #expect(decoded([0xc1, 0xe0, 0x20]).instruction.flagsWritten == [])
  #expect(decoded([0x48, 0xc1, 0xe0, 0x20]).instruction.flagsWritten == .all)
  #expect(decoded([0xd3, 0xe0]).instruction.flagsMaybeWritten == .all)
}

@Test func `an instruction that ends beyond the bytes at hand needs more`() {
  let whole: [UInt8] = [0x48, 0xc7, 0x84, 0x24, 0x10, 0, 0, 0, 1, 0, 0, 0]
  for count in 1..<whole.count {
    #expect(decoded(Array(whole[..<count])).result == .needsMoreBytes)
  }
  #expect(decoded(whole).result == .decoded)
}

@Test func `sixteen bytes are too long`() {
  let prefixes = [UInt8](repeating: 0x66, count: 14)
  #expect(decoded(prefixes + [0x90]).result == .decoded)
  #expect(decoded(prefixes + [0x66, 0x90]).result == .tooLong)
  #expect(decoded(prefixes + [0x66]).result == .tooLong)
  #expect(decoded(prefixes).result == .needsMoreBytes)
}

@Test func `LOCK is undefined without a memory destination`() {
  #expect(decoded([0xf0, 0x01, 0x00]).instruction.operation == .plain)
  #expect(decoded([0xf0, 0x01, 0xc0]).instruction.operation == .undefined)
  #expect(decoded([0xf0, 0x03, 0x00]).instruction.operation == .undefined)
}

@Test func `without LZCNT and BMI1 their encodings are BSR and BSF`() {
  let features = FeatureSet.all.subtracting([.lzcnt, .bmi1])
  let bytes: [UInt8] = [0xf3, 0x0f, 0xbd, 0xc1]
  let old = decoded(bytes, features: features).instruction
  #expect(decoded(bytes).instruction.mandatoryPrefix == 0xf3)
  #expect(old.operation == .plain && old.mandatoryPrefix == 0)
  #expect(old.operands[0].access == .readWrite)
}

@Test func `C4, C5, 40, 63 mean other things outside 64-bit mode`() {
  #expect(decoded([0xc4, 0x08], .bits32).instruction.operation == .loadFarPointer)
  #expect(decoded([0x40], .bits32).instruction.operandSize == 4)
  #expect(decoded([0x40], .bits16).instruction.operandSize == 2)
  #expect(decoded([0x63, 0xc8], .bits32).instruction.operation == .adjustRequestedPrivilege)
  #expect(decoded([0x63, 0xc8]).instruction.operation == .plain)
}

@Test func `16-bit addresses add two registers`() {
  let (_, load) = decoded([0x8b, 0x42, 0x10], .bits16)  // mov ax, [bp + si + 16]
  #expect(load.base == 5 && load.index == 6 && load.segment == 2)
  #expect(load.displacement == 16 && load.addressSize == 2)
}

@Test func `near branches keep 64 bits whatever the prefix`() {
  let (_, call) = decoded([0x66, 0xe8, 0, 0, 0, 0])
  #expect(call.operandSize == 8 && call.length == 6)
  #expect(decoded([0x66, 0xe8, 0, 0], .bits32).instruction.length == 4)
}
