internal import Host

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
  /// Saves and loads the guest's x87 registers, where they are in use: that is what takes time.
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
    if HostProcessor.tellsStatesInUse {
      Self.emitFloatingTest(&writer)
      Self.skip(Self.notZero, &writer) { writer in
        writer.bytes(0x65, 0x48, 0x83)  // and: the image says so too
        writer.modRM(4, Self.components)
        writer.bytes(0xfe, 0xc3)  // ~1; ret
      }
    }
    Self.emitFloating(4, &writer)
    writer.bytes(0xdb, 0xe3)  // fninit: others expect an empty x87 stack
    writer.bytes(0x65, 0xd9)  // fldcw
    writer.modRM(5, .state(StateLayout.run(\.hostControlWord)))
    writer.byte(0xc3)
    unpark = entry()
    if HostProcessor.tellsStatesInUse {
      writer.bytes(0x65, 0xf6)  // test
      writer.modRM(0, Self.components)
      writer.byte(1)
      Self.skip(Self.notZero, &writer) { writer in
        Self.emitFloatingTest(&writer)
        Self.skip(Self.notZero, &writer) { $0.byte(0xc3) }
      }
    }
    Self.emitFloating(5, &writer)
    writer.byte(0xc3)
  }

  /// The image's components that are not in their initial state; bit 0 is x87.
  private static let components = HostOperand.state(
    Int32(StateLayout.extendedArea + ExtendedState.header))

  /// JZ and JNZ
  private static let (zero, notZero) = (UInt8(0x74), UInt8(0x75))

  /// Emits a jump over what `body` emits.
  private static func skip(
    _ condition: UInt8, _ writer: inout CodeWriter, _ body: (inout CodeWriter) -> Void
  ) {
    writer.bytes(condition, 0)
    let start = unsafe writer.cursor
    body(&writer)
    unsafe (start - 1).pointee = UInt8(writer.cursor - start)
  }

  /// ZF: x87 is in its initial state.
  private static func emitFloatingTest(_ writer: inout CodeWriter) {
    writer.constant(.rcx, 1)
    writer.bytes(0x0f, 0x01, 0xd0)  // xgetbv
    writer.bytes(0xa8, 1)  // test al, 1
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
    writer.bytes(0x48, 0x89, 0xe2)  // mov rdx, rsp
    writer.bytes(0x48, 0x89, 0xf4)  // mov rsp, rsi
    writer.bytes(0x0f, 0xae)
    writer.bytes(0x14, 0x24)  // ldmxcsr [rsp]
    // x87 counts as in use from the first control word on.
    writer.bytes(0x0f, 0xb7)
    writer.bytes(0x42, 4)  // movzx eax, word [rdx + 4]
    writer.bytes(0x66, 0x3b, 0x44)
    writer.bytes(0x24, 4)  // cmp ax, [rsp + 4]
    skip(zero, &writer) { writer in
      writer.bytes(0xd9, 0x6c)
      writer.bytes(0x24, 4)  // fldcw [rsp + 4]
    }
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
