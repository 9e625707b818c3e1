public import CLinux
public import KVM
public import X86

extension Registers {
  public init(_ values: kvm_regs) {
    self.init()
    (rax, rbx, rcx, rdx) = (values.rax, values.rbx, values.rcx, values.rdx)
    (rsi, rdi, rsp, rbp) = (values.rsi, values.rdi, values.rsp, values.rbp)
    (r8, r9, r10, r11) = (values.r8, values.r9, values.r10, values.r11)
    (r12, r13, r14, r15) = (values.r12, values.r13, values.r14, values.r15)
    rip = values.rip
    rflags = RFLAGS(rawValue: values.rflags)
  }
}

extension kvm_regs {
  public init(_ values: Registers) {
    self.init()
    (rax, rbx, rcx, rdx) = (values.rax, values.rbx, values.rcx, values.rdx)
    (rsi, rdi, rsp, rbp) = (values.rsi, values.rdi, values.rsp, values.rbp)
    (r8, r9, r10, r11) = (values.r8, values.r9, values.r10, values.r11)
    (r12, r13, r14, r15) = (values.r12, values.r13, values.r14, values.r15)
    rip = values.rip
    rflags = values.rflags.rawValue
  }
}

extension SegmentRegister {
  public init(_ segment: kvm_segment) {
    var attributes = SegmentAttributes()
    attributes[.type] = segment.type
    attributes[.privilege] = segment.dpl
    attributes[.codeOrData] = segment.s != 0
    attributes[.present] = segment.present != 0 && segment.unusable == 0
    attributes[.available] = segment.avl != 0
    attributes[.long] = segment.l != 0
    attributes[.defaultBig] = segment.db != 0
    attributes[.granular] = segment.g != 0
    self.init(
      base: segment.base, limit: segment.limit, selector: segment.selector,
      attributes: attributes)
  }
}

extension kvm_segment {
  public init(_ segment: SegmentRegister) {
    self.init()
    base = segment.base
    limit = segment.limit
    selector = segment.selector
    let attributes = segment.attributes
    type = attributes[.type]
    dpl = attributes[.privilege]
    s = attributes[.codeOrData] ? 1 : 0
    present = attributes[.present] ? 1 : 0
    unusable = attributes[.present] ? 0 : 1
    avl = attributes[.available] ? 1 : 0
    l = attributes[.long] ? 1 : 0
    db = attributes[.defaultBig] ? 1 : 0
    g = attributes[.granular] ? 1 : 0
  }
}

extension DescriptorTable {
  public init(_ table: kvm_dtable) { self.init(base: table.base, limit: table.limit) }
}

extension kvm_dtable {
  public init(_ table: DescriptorTable) {
    self.init()
    base = table.base
    limit = table.limit
  }
}

extension SpecialRegisters {
  public init(_ values: kvm_sregs) {
    self.init()
    (cs, ds) = (SegmentRegister(values.cs), SegmentRegister(values.ds))
    (es, fs) = (SegmentRegister(values.es), SegmentRegister(values.fs))
    (gs, ss) = (SegmentRegister(values.gs), SegmentRegister(values.ss))
    (tr, ldt) = (SegmentRegister(values.tr), SegmentRegister(values.ldt))
    (gdt, idt) = (DescriptorTable(values.gdt), DescriptorTable(values.idt))
    (cr0, cr4) = (CR0(rawValue: values.cr0), CR4(rawValue: values.cr4))
    (cr2, cr3, cr8) = (values.cr2, values.cr3, values.cr8)
    (efer, apicBase) = (EFER(rawValue: values.efer), values.apic_base)
    pendingInterrupt = Self.firstSet(in: values.interrupt_bitmap)
  }

  private static func firstSet(in bitmap: (UInt64, UInt64, UInt64, UInt64)) -> UInt8? {
    let words = [bitmap.0, bitmap.1, bitmap.2, bitmap.3]
    guard let index = words.firstIndex(where: { $0 != 0 }) else { return nil }
    return UInt8(index * 64 + words[index].trailingZeroBitCount)
  }
}

extension kvm_sregs {
  public init(_ values: SpecialRegisters) {
    self.init()
    (cs, ds) = (kvm_segment(values.cs), kvm_segment(values.ds))
    (es, fs) = (kvm_segment(values.es), kvm_segment(values.fs))
    (gs, ss) = (kvm_segment(values.gs), kvm_segment(values.ss))
    (tr, ldt) = (kvm_segment(values.tr), kvm_segment(values.ldt))
    (gdt, idt) = (kvm_dtable(values.gdt), kvm_dtable(values.idt))
    (cr0, cr4) = (values.cr0.rawValue, values.cr4.rawValue)
    (cr2, cr3, cr8) = (values.cr2, values.cr3, values.cr8)
    (efer, apic_base) = (values.efer.rawValue, values.apicBase)
    guard let vector = values.pendingInterrupt else { return }
    let bit: UInt64 = 1 << UInt64(vector % 64)
    switch vector / 64 {
    case 0: interrupt_bitmap.0 = bit
    case 1: interrupt_bitmap.1 = bit
    case 2: interrupt_bitmap.2 = bit
    default: interrupt_bitmap.3 = bit
    }
  }
}

extension SpecialRegistersWithPointers {
  public init(_ values: kvm_sregs2) {
    var plain = kvm_sregs()
    (plain.cs, plain.ds, plain.es) = (values.cs, values.ds, values.es)
    (plain.fs, plain.gs, plain.ss) = (values.fs, values.gs, values.ss)
    (plain.tr, plain.ldt) = (values.tr, values.ldt)
    (plain.gdt, plain.idt) = (values.gdt, values.idt)
    (plain.cr0, plain.cr2, plain.cr3) = (values.cr0, values.cr2, values.cr3)
    (plain.cr4, plain.cr8) = (values.cr4, values.cr8)
    (plain.efer, plain.apic_base) = (values.efer, values.apic_base)
    let isValid = values.flags & UInt64(KVM_SREGS2_FLAGS_PDPTRS_VALID) != 0
    self.init(SpecialRegisters(plain), pagePointers: isValid ? fixed(values.pdptrs) : nil)
  }
}

extension kvm_sregs2 {
  public init(_ values: SpecialRegistersWithPointers) {
    self.init()
    let plain = kvm_sregs(values.special)
    (cs, ds, es) = (plain.cs, plain.ds, plain.es)
    (fs, gs, ss) = (plain.fs, plain.gs, plain.ss)
    (tr, ldt) = (plain.tr, plain.ldt)
    (gdt, idt) = (plain.gdt, plain.idt)
    (cr0, cr2, cr3, cr4, cr8) = (plain.cr0, plain.cr2, plain.cr3, plain.cr4, plain.cr8)
    (efer, apic_base) = (plain.efer, plain.apic_base)
    guard let pointers = values.pagePointers else { return }
    flags = UInt64(KVM_SREGS2_FLAGS_PDPTRS_VALID)
    pdptrs = tuple(pointers)
  }
}
