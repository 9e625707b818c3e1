public import X86

/// The general registers, the instruction pointer and the flags (`struct kvm_regs`).
public struct Registers: Hashable, Sendable, BitwiseCopyable {
  public var rax: UInt64 = 0
  public var rbx: UInt64 = 0
  public var rcx: UInt64 = 0
  public var rdx: UInt64 = 0
  public var rsi: UInt64 = 0
  public var rdi: UInt64 = 0
  public var rsp: UInt64 = 0
  public var rbp: UInt64 = 0
  public var r8: UInt64 = 0
  public var r9: UInt64 = 0
  public var r10: UInt64 = 0
  public var r11: UInt64 = 0
  public var r12: UInt64 = 0
  public var r13: UInt64 = 0
  public var r14: UInt64 = 0
  public var r15: UInt64 = 0
  public var rip: UInt64 = 0
  public var rflags: RFLAGS = .fixed

  public init() {}
}

/// Segments, tables and control registers (`struct kvm_sregs`).
public struct SpecialRegisters: Hashable, Sendable, BitwiseCopyable {
  public var cs: SegmentRegister
  public var ds: SegmentRegister
  public var es: SegmentRegister
  public var fs: SegmentRegister
  public var gs: SegmentRegister
  public var ss: SegmentRegister
  public var tr: SegmentRegister
  public var ldt: SegmentRegister
  public var gdt: DescriptorTable
  public var idt: DescriptorTable
  public var cr0: CR0
  public var cr2: UInt64 = 0
  public var cr3: UInt64 = 0
  public var cr4 = CR4()
  /// The task priority.
  public var cr8: UInt64 = 0
  public var efer = EFER()
  /// IA32_APIC_BASE: address, enable bits, bootstrap bit.
  public var apicBase: UInt64 = 0xfee0_0900
  /// An external interrupt that was acknowledged and is not delivered yet.
  public var pendingInterrupt: UInt8?

  /// The state after power-on: real mode at the top of the first 4 GiB.
  ///
  /// Reference: SDM vol. 3A, table 10-1.
  public init() {
    let data = SegmentRegister.realMode(selector: 0)
    (ds, es, fs, gs, ss) = (data, data, data, data, data)
    cs = SegmentRegister(
      base: 0xffff_0000, limit: 0xffff, selector: 0xf000, attributes: .init(rawValue: 0x9b))
    tr = SegmentRegister(base: 0, limit: 0xffff, selector: 0, attributes: .init(rawValue: 0x8b))
    ldt = SegmentRegister(base: 0, limit: 0xffff, selector: 0, attributes: .init(rawValue: 0x82))
    gdt = DescriptorTable(base: 0, limit: 0xffff)
    idt = DescriptorTable(base: 0, limit: 0xffff)
    cr0 = [.extensionType, .notWriteThrough, .cacheDisable]
  }
}

/// Special registers with the page-directory pointers that PAE paging keeps in the processor
/// (`struct kvm_sregs2`).
public struct SpecialRegistersWithPointers: Hashable, Sendable, BitwiseCopyable {
  /// ``SpecialRegisters/pendingInterrupt`` is not part of it.
  public var special: SpecialRegisters
  /// `nil` unless PAE paging is on.
  public var pagePointers: FixedArray<4, UInt64>?

  public init(_ special: SpecialRegisters, pagePointers: FixedArray<4, UInt64>? = nil) {
    self.special = special
    self.pagePointers = pagePointers
  }
}

/// A model-specific register and its value.
public struct ModelSpecificRegister: Hashable, Sendable, BitwiseCopyable {
  public var number: UInt32
  public var value: UInt64

  public init(_ number: UInt32, _ value: UInt64) {
    self.number = number
    self.value = value
  }
}
