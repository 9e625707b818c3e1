/// Emitted C functions that the processor's coroutine is made of.
struct StackRoutines: BitwiseCopyable {
  typealias Switch = @convention(c) (UnsafeMutablePointer<UInt64>, UInt64) -> Void
  typealias Park = @convention(c) () -> Void

  /// Offsets in the code cache.
  ///
  /// `switch(from, to)`: puts the callee-saved registers, the control words and the GS base on the
  /// stack and its pointer to `from`, then takes the same off the stack at `to`.
  private(set) var change: UInt32 = 0
  /// Where a new stack's first switch ends: calls R12 with RBX.
  private(set) var start: UInt32 = 0
  /// Saves and loads the guest's x87 registers.
  private(set) var park: UInt32 = 0
  private(set) var unpark: UInt32 = 0

  init() {}

  init(into store: BlockStore, writer: inout CodeWriter) {
    func entry() -> UInt32 {
      writer.align(to: 16)
      return unsafe store.cache.offset(of: writer.cursor)
    }
    change = entry()
    Self.emitChange(&writer)
    start = entry()
    writer.bytes(0x48, 0x89, 0xdf)  // mov rdi, rbx
    writer.bytes(0x41, 0xff, 0xd4)  // call r12
    writer.bytes(0x0f, 0x0b)  // ud2: it never returns
    park = entry()
    Self.emitFloating(4, &writer)
    writer.bytes(0xdb, 0xe3)  // fninit: others expect an empty x87 stack
    writer.bytes(0x65, 0xd9)  // fldcw
    writer.modRM(5, .state(StateLayout.run(\.hostControlWord)))
    writer.byte(0xc3)
    unpark = entry()
    Self.emitFloating(5, &writer)
    writer.byte(0xc3)
  }

  private static func emitChange(_ writer: inout CodeWriter) {
    writer.bytes(0x55, 0x53)  // push rbp, rbx
    for register in UInt8(4)..<8 { writer.bytes(0x41, 0x50 | register) }  // push r12…r15
    writer.bytes(0xf3, 0x48, 0x0f)
    writer.bytes(0xae, 0xc8)  // rdgsbase rax
    writer.bytes(0x50, 0x50)  // push rax, and room for the control words
    writer.bytes(0x0f, 0xae)
    writer.bytes(0x1c, 0x24)  // stmxcsr [rsp]
    writer.bytes(0xd9, 0x7c)
    writer.bytes(0x24, 4)  // fnstcw [rsp + 4]
    writer.bytes(0x48, 0x89, 0x27)  // mov [rdi], rsp
    writer.bytes(0x48, 0x89, 0xf4)  // mov rsp, rsi
    writer.bytes(0x0f, 0xae)
    writer.bytes(0x14, 0x24)  // ldmxcsr [rsp]
    writer.bytes(0xd9, 0x6c)
    writer.bytes(0x24, 4)  // fldcw [rsp + 4]
    writer.bytes(0x58, 0x58)  // pop rax twice
    writer.bytes(0xf3, 0x48, 0x0f)
    writer.bytes(0xae, 0xd8)  // wrgsbase rax
    for register in (UInt8(4)..<8).reversed() { writer.bytes(0x41, 0x58 | register) }
    writer.bytes(0x5b, 0x5d, 0xc3)  // pop rbx, rbp; ret
  }

  /// XSAVE64 (4) or XRSTOR64 (5) of the x87 registers alone.
  private static func emitFloating(_ extensionField: UInt8, _ writer: inout CodeWriter) {
    writer.constant(.rax, 1)
    writer.constant(.rdx, 0)
    writer.bytes(0x65, 0x48)
    writer.bytes(0x0f, 0xae)
    writer.modRM(extensionField, .state(Int32(StateLayout.extendedArea)))
  }
}
